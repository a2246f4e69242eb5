"""Match keys: classes and students are told apart and compared by the normalised form of their names"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from backend.core.match_keys import match_key, name_key
from migrations.sql_files import create_definer_functions

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BATCH = 10_000


def upgrade() -> None:
    for table in ("school_class", "student"):
        op.add_column(table, sa.Column("name_key", sa.String(), nullable=True))
    _fill_class_keys()
    _fill_student_keys()
    for table in ("school_class", "student"):
        op.alter_column(table, "name_key", nullable=False)
    op.drop_constraint(op.f("uq_school_class_school_id_name"), "school_class")
    op.create_unique_constraint(
        op.f("uq_school_class_school_id_name_key"), "school_class", ["school_id", "name_key"]
    )
    op.execute("DROP FUNCTION definer.open_registration")
    op.execute("DROP FUNCTION IF EXISTS definer.plain_name")
    create_definer_functions("open_registration.v2")


def _fill_class_keys() -> None:
    """Of two classes that differ in spelling only, the newer one keeps its own key, so that no student changes class here."""
    connection = op.get_bind()
    taken: set[tuple[Any, str]] = set()
    rows = connection.execute(
        sa.text("SELECT id, school_id, name FROM school_class ORDER BY created_at, id")
    ).all()
    for class_id, school_id, name in rows:
        key = match_key(name)
        if (school_id, key) in taken:
            key = f"{key}/{class_id}"
        taken.add((school_id, key))
        connection.execute(
            sa.text("UPDATE school_class SET name_key = :key WHERE id = :id"), {"key": key, "id": class_id}
        )


def _fill_student_keys() -> None:
    connection = op.get_bind()
    batch = sa.text("SELECT id, name FROM student WHERE name_key IS NULL ORDER BY id LIMIT :limit")
    while rows := connection.execute(batch, {"limit": BATCH}).all():
        connection.execute(
            sa.text("UPDATE student SET name_key = :key WHERE id = :id"),
            [{"key": name_key(name), "id": student_id} for student_id, name in rows],
        )
