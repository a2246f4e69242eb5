"""Search of students by a part of the name over many schools, by an index of the characters"""

from alembic import op

from migrations.sql_files import create_definer_functions

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_student_name_characters ON student USING gin (string_to_array(name_key, NULL))"
    )
    create_definer_functions("students_named")
