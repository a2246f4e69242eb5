"""A student's own counselor, by name and phone number"""

from migrations.sql_files import create_definer_functions

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_definer_functions("own_counselor")
