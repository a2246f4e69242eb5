"""Replacing an enrolled face by two persons, the way back to the face route, and decisions on portraits"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table
from migrations.sql_files import create_definer_functions

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _admit("face_enrolment", "'pending', 'review', 'accepted', 'refused'")
    _admit("face_template", "'proposed', 'active', 'replaced', 'refused', 'shredded'")
    op.drop_index("uq_face_enrolment_pending", "face_enrolment")
    op.create_index(
        "uq_face_enrolment_open",
        "face_enrolment",
        ["student_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'review')"),
    )
    op.add_column(
        "non_face_route", sa.Column("chosen", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.alter_column("non_face_route", "chosen", server_default=None)
    create_definer_functions("check_in_facts.v2", "erase_ended_templates")
    op.create_table(
        "face_replacement_answer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("seen_in_person", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("side IN ('school', 'superior')", name=op.f("ck_face_replacement_answer_side")),
        sa.CheckConstraint(
            "side <> 'school' OR NOT approved OR seen_in_person",
            name=op.f("ck_face_replacement_answer_seen_in_person"),
        ),
        sa.ForeignKeyConstraint(
            ["enrolment_id"],
            ["face_enrolment.id"],
            name=op.f("fk_face_replacement_answer_enrolment_id_face_enrolment"),
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_face_replacement_answer_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_replacement_answer")),
        sa.UniqueConstraint(
            "enrolment_id", "account_id", name=op.f("uq_face_replacement_answer_enrolment_id_account_id")
        ),
        sa.UniqueConstraint(
            "enrolment_id", "side", name=op.f("uq_face_replacement_answer_enrolment_id_side")
        ),
    )
    protect_school_table("face_replacement_answer", grants="SELECT, INSERT")


def _admit(table: str, statuses: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_status"), table)
    op.create_check_constraint(op.f(f"ck_{table}_status"), table, f"status IN ({statuses})")
