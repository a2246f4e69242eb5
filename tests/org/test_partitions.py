"""Partitions by term: created with the term, reachable only through their parent, reported when missing."""

from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.org.errors import TermsBusy
from backend.org.partitions import Partition, create_missing_partitions, find_missing_partitions
from backend.org.terms import NewTerm, open_term
from backend.tables import METADATA
from tests.support.province import SampleProvince, create_sample_province, registrar_account


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=1)


async def open_autumn(database: Database, world: SampleProvince, year: int) -> str:
    actor, code = registrar_account(world.school), f"{year} 秋'autumn"
    async with database.transaction(actor.scope) as session:
        new = NewTerm(world.school.id, code, date(year, 9, 1), date(year, 12, 31))
        await open_term(session, actor, new, now())
    return code


def partitioned_tables() -> set[str]:
    return {
        name
        for name, table in METADATA.tables.items()
        if table.dialect_options["postgresql"]["partition_by"] == "LIST (term_code)"
    }


async def partitions_of(owner: Database, code: str) -> dict[str, str]:
    """The partition of each table, by the table's name."""
    rows = text(
        "SELECT CAST(i.inhparent AS regclass)::text, p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid"
        " WHERE p.relkind = 'r' AND pg_get_expr(p.relpartbound, p.oid) = format('FOR VALUES IN (%L)', CAST(:code AS text))"
    )
    async with owner.transaction(Scope.none()) as session:
        return {row[0]: row[1] for row in await session.execute(rows, {"code": code})}


def test_tables_with_roll_call_and_term_are_partitioned_by_term() -> None:
    columns = {"roll_call_id", "term_code"}
    with_both = {name for name, table in METADATA.tables.items() if columns <= set(table.c.keys())}
    # The counts of cells of a term are few, and the retention job deletes them by the term.
    assert with_both - {"check_in_cell"} == partitioned_tables() - {"submission_frame"}


async def test_opening_a_term_creates_its_partition_of_every_table(
    database: Database, owner: Database, world: SampleProvince
) -> None:
    code = await open_autumn(database, world, 2071)
    assert (await partitions_of(owner, code)).keys() == partitioned_tables()
    async with database.transaction(Scope.none()) as session:
        assert await find_missing_partitions(session) == []


async def test_application_reaches_a_partition_only_through_its_parent(
    database: Database, owner: Database, world: SampleProvince
) -> None:
    partitions = await partitions_of(owner, world.term_code)
    for partition in partitions.values():
        with pytest.raises(ProgrammingError, match="permission denied for schema term_partition"):
            async with database.transaction(registrar_account(world.school).scope) as session:
                await session.execute(text(f"SELECT 1 FROM term_partition.{partition}"))
    async with owner.transaction(Scope.none()) as session:
        forced = text(
            "SELECT bool_and(relrowsecurity AND relforcerowsecurity) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'term_partition'::regnamespace"
        )
        assert await session.scalar(forced) is True


async def test_missing_partition_is_reported_and_created(
    database: Database, owner: Database, world: SampleProvince
) -> None:
    code = await open_autumn(database, world, 2072)
    partition = (await partitions_of(owner, code))["outcome_entry"]
    async with owner.transaction(Scope.none()) as session:
        await session.execute(text(f"DROP TABLE term_partition.{partition}"))
    async with database.transaction(Scope.none()) as session:
        assert await find_missing_partitions(session) == [Partition(code, "outcome_entry")]
        assert await create_missing_partitions(session) == [Partition(code, "outcome_entry")]
        assert await find_missing_partitions(session) == await create_missing_partitions(session) == []


async def test_row_of_an_unknown_term_is_rejected(owner: Database, world: SampleProvince) -> None:
    row = text(
        "INSERT INTO attestation_review (roll_call_id, student_id, school_id, term_code, attested_by, reviewed_by, upheld,"
        " note, at) SELECT id, id, school_id, '2199-never', id, school_id, true, '', now() FROM student LIMIT 1"
    )
    with pytest.raises(IntegrityError, match="no partition"):
        async with owner.transaction(Scope.none()) as session:
            await session.execute(row)


async def test_opening_a_term_during_a_launch_fails_without_waiting(
    database: Database, owner: Database, world: SampleProvince
) -> None:
    async with owner.transaction(Scope.none()) as session:
        await session.execute(text("LOCK TABLE roll_call IN ROW EXCLUSIVE MODE"))  # the lock of a launch
        with pytest.raises(TermsBusy):
            await open_autumn(database, world, 2073)
    async with database.transaction(Scope.none()) as session:
        assert await find_missing_partitions(session) == []
