"""Row-level security for migrations: forced on every table, and one function for each value of `__tenancy__`.

The application's role sees a row only if the scope of the transaction admits it (`backend/core/tenancy.py` sets the
scope, the functions of the schema `tenancy` read it). Without a scope the functions return NULL, and no row is
admitted. The scalar sub-selects make PostgreSQL evaluate the scope once per statement instead of once per row.
"""

from alembic import op

APP_ROLE = "dianming_app"
OWNER_ROLE = "dianming_owner"

IN_SCHOOL_SCOPE = (
    "(school_id = (SELECT tenancy.school()) OR ((SELECT tenancy.is_wide()) AND school_id IN"
    " (SELECT u.id FROM org_unit u WHERE u.kind = 'school' AND u.path <@ (SELECT tenancy.path()))))"
)
"""The row belongs to the school of the scope, or to a school below its path."""


def force_row_level_security(table: str, grants: str) -> None:
    """Let the owner see every row, and the application none until a policy admits some."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    # Migrations and the functions of the schema `definer` run as the owner.
    op.execute(f"CREATE POLICY owner_all ON {table} TO {OWNER_ROLE} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {grants} ON {table} TO {APP_ROLE}")


def protect_school_table(table: str, grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Rows belong to the school in `school_id`. A student's scope sees none of them."""
    force_row_level_security(table, grants)
    op.execute(
        f"CREATE POLICY tenant ON {table} TO {APP_ROLE}"
        f" USING ({IN_SCHOOL_SCOPE} AND (SELECT tenancy.student()) IS NULL)"
        f" WITH CHECK ({IN_SCHOOL_SCOPE} AND (SELECT tenancy.student()) IS NULL)"
    )


def protect_shared_school_table(table: str, grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Like `protect_school_table`, but the students of the school may read every row of it."""
    protect_school_table(table, grants)
    op.execute(
        f"CREATE POLICY student_reads ON {table} FOR SELECT TO {APP_ROLE}"
        f" USING (school_id = (SELECT tenancy.school()) AND (SELECT tenancy.student()) IS NOT NULL)"
    )


def protect_student_table(
    table: str, column: str = "student_id", grants: str = "SELECT, INSERT, UPDATE"
) -> None:
    """Rows belong to a school and to the student in `column`. The student may read and write their own rows."""
    force_row_level_security(table, grants)
    own = f"((SELECT tenancy.student()) IS NULL OR {column} = (SELECT tenancy.student()))"
    op.execute(
        f"CREATE POLICY tenant ON {table} TO {APP_ROLE}"
        f" USING ({IN_SCHOOL_SCOPE} AND {own}) WITH CHECK ({IN_SCHOOL_SCOPE} AND {own})"
    )


def protect_student_readable_table(
    table: str, column: str = "student_id", grants: str = "SELECT, INSERT"
) -> None:
    """Like `protect_school_table`, but the student in `column` may read their rows. Only staff and workers write."""
    protect_school_table(table, grants)
    op.execute(
        f"CREATE POLICY student_reads ON {table} FOR SELECT TO {APP_ROLE}"
        f" USING (school_id = (SELECT tenancy.school()) AND {column} = (SELECT tenancy.student()))"
    )


def protect_two_school_table(table: str, other: str, grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Rows belong to the schools in `school_id` and in the column `other`. Both see and write them; a student does not."""
    force_row_level_security(table, grants)
    in_other = IN_SCHOOL_SCOPE.replace("school_id", other)
    condition = f"(({IN_SCHOOL_SCOPE} OR {in_other}) AND (SELECT tenancy.student()) IS NULL)"
    op.execute(f"CREATE POLICY tenant ON {table} TO {APP_ROLE} USING {condition} WITH CHECK {condition}")


def protect_org_table(table: str, column: str = "org_path", grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Rows belong to the unit whose path is in `column`. The unit and its superiors see them."""
    force_row_level_security(table, grants)
    inside = f"CAST({column} AS ltree) <@ (SELECT tenancy.path())"
    op.execute(f"CREATE POLICY tenant ON {table} TO {APP_ROLE} USING ({inside}) WITH CHECK ({inside})")


def protect_open_table(table: str, writable: str = "false", grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Rows without personal data: readable in every scope, writable where the SQL condition `writable` is true."""
    force_row_level_security(table, grants)
    op.execute(f"CREATE POLICY can_select ON {table} FOR SELECT TO {APP_ROLE} USING (true)")
    op.execute(f"CREATE POLICY can_insert ON {table} FOR INSERT TO {APP_ROLE} WITH CHECK ({writable})")
    op.execute(
        f"CREATE POLICY can_update ON {table} FOR UPDATE TO {APP_ROLE}"
        f" USING ({writable}) WITH CHECK ({writable})"
    )


def protect_ledger_table(table: str, grants: str = "SELECT, INSERT") -> None:
    """Internal rows that contain only identifiers. The default grants make the table append-only."""
    force_row_level_security(table, grants)
    op.execute(f"CREATE POLICY internal ON {table} TO {APP_ROLE} USING (true) WITH CHECK (true)")
