"""Indexes for the lists of students by name, and for the number of students of a school"""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('CREATE INDEX ix_student_name ON student (name COLLATE "zh-x-icu", id)')
    op.execute(
        "CREATE INDEX ix_student_enrolled_school ON student (school_id, id)"
        " WHERE standing NOT IN ('03', '07', '08', '09', '10', '11', '14', '99')"
    )
