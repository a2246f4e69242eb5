"""Query plans of the hot statements in a small province: no sequential scan of a large partition, no other term.

PostgreSQL counts the sequential scans of each table in the running transaction, including those inside functions. The
partitions that were read are taken from the plans of the statements, which are run again with EXPLAIN ANALYZE.
"""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.listing.pages import PageRequest
from backend.core.tenancy import Scope
from backend.org.tables import OrgUnit
from backend.roll_call.access import access_roll_call
from backend.roll_call.check_in.history import load_attempt_history
from backend.roll_call.launch.audience import Audience
from backend.roll_call.launch.checks import LaunchRollCall
from backend.roll_call.launch.service import launch_roll_call
from backend.roll_call.outcomes import find_current_outcome
from backend.roll_call.progress.access import authorize_progress
from backend.roll_call.reminders import send_reminder
from backend.roll_call.results.listing import ResultFilter, load_results_page
from backend.roll_call.results.missing import MissingSearch, load_missing_page
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.staff_queries import RollCallSearch, load_roll_calls_page
from backend.roll_call.student_queries import (
    load_refusals,
    load_student_roll_call,
    load_student_roll_calls,
    load_submissions,
)
from backend.roll_call.tables import OutcomeEntry, RollCall, Submission
from backend.roll_call.verification.inputs import load_inputs
from backend.standing.batch_assessment import (
    SingleSchool,
    select_absentees,
    select_assessed_participants,
    select_students_to_assess,
)
from backend.standing.prompts.queries import PromptSearch, load_prompts_page
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import compute_assessments
from backend.tables import METADATA
from bench.cached_databases import IDS
from bench.province import data as province_data
from tests.conftest import SUPERUSER, database_url

SCHOOLS = 4
MISSING_SORTS = ("class_name", "-class_name", "name", "-name")
LARGE = 1000
"""Rows from which a sequential scan of a partition is an error."""
SETTLED = province_data.CLOSES_AT + timedelta(minutes=5)
DURING = province_data.OPENS_AT + timedelta(minutes=9)

SEQUENTIAL_SCANS = text(
    "SELECT t.relname FROM pg_stat_xact_all_tables t JOIN pg_class c ON c.oid = t.relid"
    " WHERE t.schemaname = 'term_partition' AND c.reltuples >= :large AND t.seq_scan > 0"
)
ALL_SCANS = text(
    "SELECT relname, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_all_tables WHERE schemaname = 'term_partition'"
)
"""Includes scans inside functions. Earlier transactions of the connection may be counted in."""
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) "
PARTITIONED = re.compile(
    "|".join(
        rf"\b{name}\b"
        for name, table in METADATA.tables.items()
        if table.dialect_options["postgresql"]["partition_by"] == "LIST (term_code)"
    )
)


@dataclass(frozen=True, slots=True)
class ScanTrace:
    """The large partitions that were scanned sequentially, all partitions that were read, and the statements about
    partitioned tables.
    """

    sequentially_scanned: list[str]
    partitions: set[str]
    statements: list[str]


def scanned_partitions(node: dict[str, Any]) -> Iterator[str]:
    """The partitions of a plan that were actually read."""
    if node.get("Relation Name") and node["Actual Loops"]:
        yield node["Relation Name"]
    for part in node.get("Plans", ()):
        yield from scanned_partitions(part)


Work = Callable[[AsyncSession], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Province:
    """The small province, its measured roll call, and people in it."""

    database: Database
    app_context: AppContext
    roll_call: RollCall
    school: SingleSchool
    student_id: UUID
    """A student with a submission."""
    class_id: UUID
    submission_id: UUID

    @property
    def top(self) -> Actor:
        return Actor(province_data.STAFF_ID, "province", UUID(int=0), province_data.PROVINCE_PATH)

    @property
    def registrar(self) -> Actor:
        school_id = self.school.school_id
        return Actor(uuid4(), "registrar", school_id, self.school.path, school_id=school_id)

    @property
    def student(self) -> Actor:
        return replace(self.registrar, role="student", student_id=self.student_id)

    async def trace_scans(self, scope: Scope, work: Work, *, by_functions: bool = False) -> ScanTrace:
        executed: list[tuple[str, Any]] = []

        def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if PARTITIONED.search(statement):
                executed.append((statement, parameters))

        async with self.database.transaction(scope) as session:
            event.listen(self.database.engine.sync_engine, "before_cursor_execute", record)
            before = {(name, scans) for name, scans in await session.execute(ALL_SCANS)}
            await work(session)
            scanned = {(name, scans) for name, scans in await session.execute(ALL_SCANS)} - before
            event.remove(self.database.engine.sync_engine, "before_cursor_execute", record)
            sequentially_scanned = (await session.scalars(SEQUENTIAL_SCANS, {"large": LARGE})).all()
            connection = await session.connection()
            partitions = {name for name, _ in scanned} if by_functions else set[str]()
            for statement, parameters in executed:
                if statement.startswith("SELECT"):
                    plan = (await connection.exec_driver_sql(EXPLAIN + statement, parameters)).scalar_one()
                    partitions.update(scanned_partitions(plan[0]["Plan"]))
            await session.rollback()
        term_partitions = {each for each in partitions if re.search("_20[0-9]{2}_(autumn|spring)_", each)}
        return ScanTrace(
            list(sequentially_scanned), term_partitions, [statement for statement, _ in executed]
        )


@pytest.fixture(scope="module")
async def province(
    template_database: str, worker_id: str, app_context: AppContext
) -> AsyncIterator[Province]:
    name = f"{template_database}_{worker_id}_plans"
    dsn = os.environ[SUPERUSER]
    identifier = sql.Identifier(name)
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} OWNER dianming_owner TEMPLATE {}").format(
                identifier, sql.Identifier(template_database)
            )
        )
    database = Database.connect(database_url(name, "dianming_app"))
    with psycopg.connect(dsn, dbname=name, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")
        server.execute(IDS)
        province_data.fill_database(server, SCHOOLS, lambda _: None)
        for statement in province_data.INSERT_STANDINGS:
            server.execute(statement)
        roll_call = await launch_over_province(database)
        province_data.insert_window_rows(server, roll_call.id)
        server.execute("VACUUM ANALYZE")
    yield await choose_people(database, replace(app_context, database=database), roll_call)
    await database.close()
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


async def launch_over_province(database: Database) -> RollCall:
    async with database.transaction(Scope.wide(province_data.PROVINCE_PATH)) as session:
        top = (await session.scalars(select(OrgUnit).where(OrgUnit.kind == "province"))).one()
        actor = Actor(province_data.STAFF_ID, "province", top.id, top.path)
        window = (province_data.OPENS_AT, province_data.CLOSES_AT)
        command = LaunchRollCall("spot_check", "学籍核验", *window, Audience(), confirmed=True)
        at = province_data.OPENS_AT - timedelta(minutes=30)
        return (await launch_roll_call(session, actor, command, at)).roll_call


async def choose_people(database: Database, app_context: AppContext, roll_call: RollCall) -> Province:
    async with database.transaction(Scope.wide(province_data.PROVINCE_PATH)) as session:
        submission = (await session.scalars(select(Submission).order_by(Submission.id).limit(1))).one()
        unit = await session.get_one(OrgUnit, submission.school_id)
        entry = OutcomeEntry.student_id == submission.student_id
        class_id = await session.scalar(select(OutcomeEntry.class_id).where(entry).limit(1))
    assert class_id is not None
    school = SingleSchool(unit.id, unit.path)
    return Province(database, app_context, roll_call, school, submission.student_id, class_id, submission.id)


# --- the queries ---


async def student_roll_call(here: Province, session: AsyncSession) -> None:
    await load_student_roll_call(session, here.student, here.roll_call.id, DURING)


async def student_attempts(here: Province, session: AsyncSession) -> None:
    assert await load_submissions(session, here.roll_call.id, here.student_id)
    await load_refusals(session, here.roll_call.id, here.student_id)
    assert await find_current_outcome(session, here.roll_call.id, here.student_id)


async def student_history(here: Province, session: AsyncSession) -> None:
    assert (
        len(await load_student_roll_calls(session, here.student_id, SETTLED, None, 21))
        == len(province_data.EARLIER_ROLL_CALLS) + 1
    )


async def envelope(here: Province, session: AsyncSession) -> None:
    statement = text(
        "SELECT * FROM definer.check_in_facts(ARRAY['jkt'], ARRAY['jti'], ARRAY[CAST(:call AS uuid)], ARRAY['nonce'],"
        " ARRAY[CAST(:at AS timestamptz)], CAST(:at AS timestamptz), false)"
    )
    await session.execute(statement, {"call": here.roll_call.id, "at": DURING})


async def verification(here: Province, session: AsyncSession) -> None:
    await load_inputs(session, here.app_context, here.school.school_id, [here.submission_id])


async def staff_view(here: Province, session: AsyncSession) -> None:
    assert (
        await load_roll_calls_page(session, here.registrar, RollCallSearch(), SETTLED, PageRequest(21))
    ).rows
    await access_roll_call(session, here.registrar, here.roll_call.id, SETTLED)
    await load_attempt_history(session, here.registrar, here.roll_call.id, here.student_id, SETTLED)


async def missing_of_class(here: Province, session: AsyncSession) -> None:
    await load_missing_page(
        session, here.registrar, here.roll_call, MissingSearch(here.class_id), PageRequest(100)
    )


async def missing_of_school(here: Province, session: AsyncSession) -> None:
    for sort in MISSING_SORTS:
        page = PageRequest(51, sort=sort)
        rows = (await load_missing_page(session, here.registrar, here.roll_call, MissingSearch(), page)).rows
        first = await load_missing_page(
            session, here.registrar, here.roll_call, MissingSearch(), PageRequest(50, sort=sort)
        )
        next_page = PageRequest(50, first.next_cursor, sort)
        following = await load_missing_page(
            session, here.registrar, here.roll_call, MissingSearch(), next_page
        )
        assert following.rows[0] == rows[50]


async def missing_of_province(here: Province, session: AsyncSession) -> None:
    for sort in MISSING_SORTS:
        page = await load_missing_page(
            session, here.top, here.roll_call, MissingSearch(), PageRequest(100, sort=sort)
        )
        assert len(page.rows) == 100


async def results_of_school(here: Province, session: AsyncSession) -> None:
    page = await load_results_page(
        session, here.registrar, here.roll_call, ResultFilter(), PageRequest(100, with_total=True)
    )
    assert len(page.rows) == 100
    assert page.total is not None
    assert page.total.count > 100


async def results_by_kind(here: Province, session: AsyncSession) -> None:
    filters = ResultFilter("undetermined")
    assert not (await load_results_page(session, here.top, here.roll_call, filters, PageRequest(100))).rows


async def reminders(here: Province, session: AsyncSession) -> None:
    assert (await send_reminder(session, here.registrar, here.roll_call.id, None, DURING)).students > 0


async def prompts(here: Province, session: AsyncSession) -> None:
    await load_prompts_page(session, here.registrar, PromptSearch(open_only=True), SETTLED, PageRequest(51))


async def progress(here: Province, session: AsyncSession) -> None:
    access = await authorize_progress(session, here.registrar, here.roll_call.id, None, SETTLED)
    assert access.unit.id == here.school.school_id


async def missed_students(here: Province, session: AsyncSession) -> None:
    await session.execute(select_absentees(here.school, here.roll_call.id))
    assert (await session.execute(select_assessed_participants(here.school, here.roll_call.id))).all()


async def daily_assessment(here: Province, session: AsyncSession) -> None:
    assert (await session.execute(select_students_to_assess(here.school, SETTLED))).all()


async def assessment(here: Province, session: AsyncSession) -> None:
    students = await load_student_refs(session, [here.student_id])
    assert await compute_assessments(session, list(students.values()), SETTLED)


STUDENT_QUERIES = (student_roll_call, student_attempts)
SCHOOL_QUERIES = (
    *(
        staff_view,
        missing_of_class,
        missing_of_school,
        results_of_school,
        reminders,
        prompts,
        progress,
        missed_students,
    ),
)
PROVINCE_QUERIES = (missing_of_province, results_by_kind)
CROSS_TERM_QUERIES = (student_history, daily_assessment, assessment, verification)
"""Queries over several terms; a verification task knows only the id of its submission."""


def query_scope(here: Province, query: Callable[..., object]) -> Scope:
    if query in {*STUDENT_QUERIES, student_history}:
        return here.student.scope
    if query in PROVINCE_QUERIES:
        return here.top.scope
    return Scope.none() if query is envelope else here.registrar.scope


@pytest.mark.parametrize(
    "query", [*STUDENT_QUERIES, *SCHOOL_QUERIES, *PROVINCE_QUERIES, envelope], ids=lambda each: each.__name__
)
async def test_selective_query_uses_indexes_of_one_term(
    province: Province, query: Callable[[Province, AsyncSession], Awaitable[None]]
) -> None:
    trace = await province.trace_scans(query_scope(province, query), lambda session: query(province, session))
    assert trace.sequentially_scanned == []
    assert all("_2026_spring_" in part for part in trace.partitions)


@pytest.mark.parametrize(
    "query", [*STUDENT_QUERIES, *SCHOOL_QUERIES, student_history], ids=lambda each: each.__name__
)
async def test_query_of_one_school_has_a_school_condition(
    province: Province, query: Callable[[Province, AsyncSession], Awaitable[None]]
) -> None:
    trace = await province.trace_scans(query_scope(province, query), lambda session: query(province, session))
    selects = [each for each in trace.statements if each.startswith("SELECT")]
    assert [each for each in selects if not re.search(r"\.school_id (=|IN) ", each)] == []


@pytest.mark.parametrize("query", CROSS_TERM_QUERIES, ids=lambda each: each.__name__)
async def test_cross_term_query_uses_indexes(
    province: Province, query: Callable[[Province, AsyncSession], Awaitable[None]]
) -> None:
    trace = await province.trace_scans(query_scope(province, query), lambda session: query(province, session))
    assert trace.statements
    assert trace.sequentially_scanned == []


async def test_settlement_reads_only_its_term(province: Province) -> None:
    trace = await province.trace_scans(
        province.top.scope,
        lambda session: settle_roll_call(session, province.roll_call.id, SETTLED),
        by_functions=True,
    )
    assert any(part.startswith("outcome_entry") for part in trace.partitions)
    assert [part for part in trace.partitions if "_2026_spring_" not in part] == []
