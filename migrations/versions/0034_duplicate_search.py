"""Search for one face under two names: candidate pairs, their answers, and the runs of the job"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_org_table, protect_two_school_table

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "duplicate_candidate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("other_school_id", sa.Uuid(), nullable=False),
        sa.Column("other_student_id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("shown_from", sa.Float(), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint("student_id <> other_student_id", name=op.f("ck_duplicate_candidate_students")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_duplicate_candidate_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["other_student_id"], ["student.id"], name=op.f("fk_duplicate_candidate_other_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate_candidate")),
    )
    op.create_index(
        "uq_duplicate_candidate_pair",
        "duplicate_candidate",
        [sa.text("least(student_id, other_student_id)"), sa.text("greatest(student_id, other_student_id)")],
        unique=True,
    )
    op.create_index("ix_duplicate_candidate_school", "duplicate_candidate", ["school_id", "at"])
    op.create_table(
        "duplicate_answer",
        sa.Column("candidate_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("other_school_id", sa.Uuid(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint(
            "answer IN ('same_person', 'different', 'unsure')", name=op.f("ck_duplicate_answer_answer")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_id"],
            ["duplicate_candidate.id"],
            name=op.f("fk_duplicate_answer_candidate_id_duplicate_candidate"),
        ),
        sa.PrimaryKeyConstraint("candidate_id", name=op.f("pk_duplicate_answer")),
    )
    op.create_table(
        "duplicate_search_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("legal_basis", sa.String(), nullable=False),
        sa.Column("searched_until", TIMESTAMP, nullable=False),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate_search_run")),
    )
    for table in ("duplicate_candidate", "duplicate_answer"):
        protect_two_school_table(table, "other_school_id", "SELECT, INSERT")
    protect_org_table("duplicate_search_run", grants="SELECT, INSERT")
    op.drop_constraint(op.f("ck_shared_picture_kind"), "shared_picture", type_="check")
    op.create_check_constraint(
        op.f("ck_shared_picture_kind"), "shared_picture", "kind IN ('same', 'near_duplicate', 'same_person')"
    )
