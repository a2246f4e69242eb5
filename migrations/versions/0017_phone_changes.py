"""Phone changes: numbers proposed for students who have bound a phone"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_student_readable_table

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "phone_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("old_phone", sa.String(), nullable=True),
        sa.Column("new_phone", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=True),
        sa.Column("proposed_by", sa.Uuid(), nullable=True),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reasons", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'confirmed', 'approved', 'refused', 'withdrawn', 'replaced')",
            name=op.f("ck_phone_change_state"),
        ),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name=op.f("ck_phone_change_decided")),
        sa.CheckConstraint(
            "state NOT IN ('confirmed', 'approved')"
            " OR (decided_by IS NOT NULL AND decided_by IS DISTINCT FROM proposed_by)",
            name=op.f("ck_phone_change_second_person"),
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_phone_change_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_change")),
    )
    op.create_index(
        "uq_phone_change_open",
        "phone_change",
        ["student_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_phone_change_student", "phone_change", ["student_id", "id"])
    op.create_index("ix_phone_change_school", "phone_change", ["school_id", "id"])
    op.create_index("ix_phone_change_batch", "phone_change", ["batch_id"])
    protect_student_readable_table(
        "phone_change",
        grants="SELECT, INSERT, UPDATE (state, decided_by, decided_at, decision_reasons)",
    )
