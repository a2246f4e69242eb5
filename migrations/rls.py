"""Row-level security as migrations apply it: forced on every table, fail-closed, one shape per tenancy.

The application's role sees a row only if the transaction's scope admits it. Without a scope every setting is
NULL and nothing is admitted. The scalar sub-selects make PostgreSQL evaluate the scope once a statement.
"""

from alembic import op

APP = "dianming_app"
OWNER = "dianming_owner"

SCHOOL = (
    "(school_id = (SELECT tenancy.school()) OR ((SELECT tenancy.is_wide()) AND school_id IN"
    " (SELECT u.id FROM org_unit u WHERE u.kind = 'school' AND u.path <@ (SELECT tenancy.path()))))"
)

FUNCTIONS = """
CREATE SCHEMA tenancy;
CREATE FUNCTION tenancy.kind() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('dianming.kind', true), '');
CREATE FUNCTION tenancy.is_wide() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce(tenancy.kind() = 'wide', false);
CREATE FUNCTION tenancy.path() RETURNS ltree LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.path', true), '') AS ltree);
CREATE FUNCTION tenancy.school() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.school', true), '') AS uuid);
CREATE FUNCTION tenancy.student() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.student', true), '') AS uuid);
CREATE FUNCTION tenancy.account() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.account', true), '') AS uuid);
GRANT USAGE ON SCHEMA tenancy TO dianming_app;
"""


def secure(table: str, grants: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    # The owner migrates data and answers the few look-ups made before a scope is known.
    op.execute(f"CREATE POLICY owner_all ON {table} TO {OWNER} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {grants} ON {table} TO {APP}")


def school_table(table: str, grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Rows belong to the school in `school_id`; a student's scope sees none of them."""
    secure(table, grants)
    op.execute(
        f"CREATE POLICY tenant ON {table} TO {APP}"
        f" USING ({SCHOOL} AND (SELECT tenancy.student()) IS NULL)"
        f" WITH CHECK ({SCHOOL} AND (SELECT tenancy.student()) IS NULL)"
    )


def shared_school_table(table: str, grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Like `school_table`, but the school's students may read (never write)."""
    school_table(table, grants)
    op.execute(
        f"CREATE POLICY student_reads ON {table} FOR SELECT TO {APP}"
        f" USING (school_id = (SELECT tenancy.school()) AND (SELECT tenancy.student()) IS NOT NULL)"
    )


def student_table(table: str, column: str = "student_id", grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Rows belong to a school and, in `column`, to one student, whose own scope sees only them."""
    secure(table, grants)
    own = f"((SELECT tenancy.student()) IS NULL OR {column} = (SELECT tenancy.student()))"
    op.execute(
        f"CREATE POLICY tenant ON {table} TO {APP} USING ({SCHOOL} AND {own}) WITH CHECK ({SCHOOL} AND {own})"
    )


def org_table(table: str, column: str = "org_path", grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Rows belong to the unit at the path in `column` and are seen by it and its superiors."""
    secure(table, grants)
    inside = f"CAST({column} AS ltree) <@ (SELECT tenancy.path())"
    op.execute(f"CREATE POLICY tenant ON {table} TO {APP} USING ({inside}) WITH CHECK ({inside})")


def open_table(table: str, writable: str = "false", grants: str = "SELECT, INSERT, UPDATE") -> None:
    """Nothing personal: readable under any scope, writable where the SQL condition `writable` holds."""
    secure(table, grants)
    op.execute(f"CREATE POLICY reading ON {table} FOR SELECT TO {APP} USING (true)")
    op.execute(f"CREATE POLICY inserting ON {table} FOR INSERT TO {APP} WITH CHECK ({writable})")
    op.execute(
        f"CREATE POLICY changing ON {table} FOR UPDATE TO {APP} USING ({writable}) WITH CHECK ({writable})"
    )


def ledger_table(table: str, grants: str = "SELECT, INSERT") -> None:
    """Identifiers only, for the machinery: append-only by its grants."""
    secure(table, grants)
    op.execute(f"CREATE POLICY machinery ON {table} TO {APP} USING (true) WITH CHECK (true)")


def student_readable_table(table: str, column: str = "student_id", grants: str = "SELECT, INSERT") -> None:
    """Written by staff and workers of the school; each student reads the own rows and writes none."""
    school_table(table, grants)
    op.execute(
        f"CREATE POLICY student_reads ON {table} FOR SELECT TO {APP}"
        f" USING (school_id = (SELECT tenancy.school()) AND {column} = (SELECT tenancy.student()))"
    )
