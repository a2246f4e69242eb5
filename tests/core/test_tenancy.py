"""Row-level security is forced on every table, and without a scope no tenant row is visible."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.tables import METADATA
from tests.support.province import create_sample_province, student_account

pytestmark = pytest.mark.clause("HN334-2.3")


async def test_every_table_forces_row_level_security_and_has_a_policy(database: Database) -> None:
    async with database.transaction(Scope.none()) as session:
        rows = await session.execute(
            text(
                "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, count(p.polname)"
                " FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid"
                " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace GROUP BY 1, 2"
            )
        )
        secured = {name for name, forced, policies in rows if forced and policies >= 2}
    assert set(METADATA.tables) <= secured


async def test_application_role_owns_no_table_and_cannot_bypass_policies(database: Database) -> None:
    async with database.transaction(Scope.none()) as session:
        role = (
            await session.execute(
                text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
        ).one()
        owned = await session.scalar(
            text(
                "SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole"
                " AND relpersistence <> 't'"  # temporary tables of a transaction
            )
        )
    assert tuple(role) == (False, False)
    assert owned == 0


@pytest.mark.parametrize(
    "table",
    sorted(
        mapper.local_table.name
        for mapper in __import__("backend.core.database", fromlist=["Base"]).Base.registry.mappers
        if mapper.class_.__tenancy__ in {"school", "student", "org"}
    ),
)
async def test_no_tenant_row_is_visible_without_a_scope(database: Database, table: str) -> None:
    async with database.transaction(Scope.none()) as session:
        assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0


async def test_audit_entry_can_be_neither_changed_nor_deleted(database: Database) -> None:
    for statement in ("UPDATE audit_entry SET action = 'x'", "DELETE FROM audit_entry"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with database.transaction(Scope.none()) as session:
                await session.execute(text(statement))


@pytest.mark.parametrize("table", ["student", "guardian", "obligation", "outcome_entry", "verdict"])
async def test_student_scope_cannot_change_records_of_the_school(
    database: Database, owner: Database, app_context: AppContext, table: str
) -> None:
    world = await create_sample_province(owner, app_context.keys, classes=1, students=1)
    pupil = world.school.students[0]
    async with database.transaction(student_account(world.school, pupil).scope) as session:
        changes = text(
            f"SELECT count(*) FROM pg_policies WHERE tablename = '{table}' AND policyname = 'student_reads'"
        )
        assert await session.scalar(changes) == 1
        if table == "student":
            changed = await session.execute(text("UPDATE student SET name = 'x' RETURNING id"))
            assert changed.all() == []
            assert await session.scalar(text("SELECT name FROM student")) == pupil.name
