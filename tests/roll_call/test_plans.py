"""What the hot statements look at, in a small province: no partition from end to end, and none of another term.

PostgreSQL itself counts, for the running transaction, how often each table was read from end to end; so whatever a
service does is seen, in functions of the database too. Where else it looked its plans tell, run again and analyzed.
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
from backend.core.tenancy import Scope
from backend.org.tables import OrgUnit
from backend.roll_call.check_in.history import attempts_of
from backend.roll_call.launch.audience import Audience
from backend.roll_call.launch.service import LaunchRollCall, launch_roll_call
from backend.roll_call.outcomes import outcome_of
from backend.roll_call.oversight import access_roll_call, send_reminder
from backend.roll_call.progress.access import authorize_progress
from backend.roll_call.queries import (
    own_roll_call,
    own_roll_calls,
    own_submissions,
    refusals_of,
    roll_calls_page,
)
from backend.roll_call.results import ResultFilter, missing_page, results_page
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.tables import OutcomeEntry, RollCall, Submission
from backend.roll_call.verification.inputs import load_inputs
from backend.standing.batch_assessment import SchoolOf, known_in, missed_by, students_to_assess
from backend.standing.prompts.queries import PromptSearch, prompts_page
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import assess_now
from backend.tables import METADATA
from bench import province_data
from bench.cached_databases import IDS
from tests.conftest import SUPERUSER, database_url

SCHOOLS = 4
LARGE = 1000
"""Rows from which reading a partition from end to end is a mistake."""
SETTLED = province_data.CLOSES + timedelta(minutes=5)
DURING = province_data.OPENS + timedelta(minutes=9)

END_TO_END = text(
    "SELECT t.relname FROM pg_stat_xact_all_tables t JOIN pg_class c ON c.oid = t.relid"
    " WHERE t.schemaname = 'term_partition' AND c.reltuples >= :large AND t.seq_scan > 0"
)
SCANNED = text(
    "SELECT relname, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_all_tables WHERE schemaname = 'term_partition'"
)
"""By functions too, whose statements nobody else sees; earlier transactions of the connection may be counted in."""
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) "
KEPT_BY_TERM = re.compile(
    "|".join(
        rf"\b{name}\b"
        for name, table in METADATA.tables.items()
        if table.dialect_options["postgresql"]["partition_by"] == "LIST (term_code)"
    )
)


@dataclass(frozen=True, slots=True)
class Looks:
    """What a piece of work did: the large partitions that it read from end to end, those it looked into at all by what it
    selected, and the statements about tables that are kept by term.
    """

    end_to_end: list[str]
    partitions: set[str]
    statements: list[str]


def looked_into(node: dict[str, Any]) -> Iterator[str]:
    """The partitions of a plan that were really asked."""
    if node.get("Relation Name") and node["Actual Loops"]:
        yield node["Relation Name"]
    for part in node.get("Plans", ()):
        yield from looked_into(part)


Work = Callable[[AsyncSession], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Province:
    """The small province, its measured roll call, and people in it."""

    database: Database
    app_context: AppContext
    roll_call: RollCall
    school: SchoolOf
    student_id: UUID
    """Who sent something."""
    class_id: UUID
    submission_id: UUID

    @property
    def top(self) -> Actor:
        return Actor(province_data.BY, "province", UUID(int=0), province_data.PROVINCE)

    @property
    def registrar(self) -> Actor:
        school_id = self.school.school_id
        return Actor(uuid4(), "registrar", school_id, self.school.path, school_id=school_id)

    @property
    def student(self) -> Actor:
        return replace(self.registrar, role="student", student_id=self.student_id)

    async def looks(self, scope: Scope, work: Work, *, by_functions: bool = False) -> Looks:
        asked: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if KEPT_BY_TERM.search(statement):
                asked.append((statement, parameters))

        async with self.database.transaction(scope) as session:
            event.listen(self.database.engine.sync_engine, "before_cursor_execute", note)
            before = {(name, scans) for name, scans in await session.execute(SCANNED)}
            await work(session)
            scanned = {(name, scans) for name, scans in await session.execute(SCANNED)} - before
            event.remove(self.database.engine.sync_engine, "before_cursor_execute", note)
            end_to_end = (await session.scalars(END_TO_END, {"large": LARGE})).all()
            connection = await session.connection()
            partitions = {name for name, _ in scanned} if by_functions else set[str]()
            for statement, parameters in asked:
                if statement.startswith("SELECT"):
                    plan = (await connection.exec_driver_sql(EXPLAIN + statement, parameters)).scalar_one()
                    partitions.update(looked_into(plan[0]["Plan"]))
            await session.rollback()
        of_terms = {each for each in partitions if re.search("_20[0-9]{2}_(autumn|spring)_", each)}
        return Looks(list(end_to_end), of_terms, [statement for statement, _ in asked])


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
        province_data.fill(server, SCHOOLS, lambda _: None)
        for statement in province_data.KNOWN:
            server.execute(statement)
        roll_call = await _launched(database)
        province_data.leave_behind(server, roll_call.id)
        server.execute("VACUUM ANALYZE")
    yield await _peopled(database, replace(app_context, database=database), roll_call)
    await database.close()
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


async def _launched(database: Database) -> RollCall:
    async with database.transaction(Scope.wide(province_data.PROVINCE)) as session:
        top = (await session.scalars(select(OrgUnit).where(OrgUnit.kind == "province"))).one()
        actor = Actor(province_data.BY, "province", top.id, top.path)
        window = (province_data.OPENS, province_data.CLOSES)
        command = LaunchRollCall("spot_check", "学籍核验", *window, Audience())
        at = province_data.OPENS - timedelta(minutes=30)
        return (await launch_roll_call(session, actor, command, at)).roll_call


async def _peopled(database: Database, app_context: AppContext, roll_call: RollCall) -> Province:
    async with database.transaction(Scope.wide(province_data.PROVINCE)) as session:
        submission = (await session.scalars(select(Submission).order_by(Submission.id).limit(1))).one()
        unit = await session.get_one(OrgUnit, submission.school_id)
        entry = OutcomeEntry.student_id == submission.student_id
        class_id = await session.scalar(select(OutcomeEntry.class_id).where(entry).limit(1))
    assert class_id is not None
    school = SchoolOf(unit.id, unit.path)
    return Province(database, app_context, roll_call, school, submission.student_id, class_id, submission.id)


# --- the questions ---


async def own_call(here: Province, session: AsyncSession) -> None:
    await own_roll_call(session, here.student, here.roll_call.id, DURING)


async def own_attempts(here: Province, session: AsyncSession) -> None:
    assert await own_submissions(session, here.roll_call.id, here.student_id)
    await refusals_of(session, here.roll_call.id, here.student_id)
    assert await outcome_of(session, here.roll_call.id, here.student_id)


async def own_history(here: Province, session: AsyncSession) -> None:
    assert (
        len(await own_roll_calls(session, here.student_id, SETTLED, None, 21))
        == len(province_data.CHECKS) + 1
    )


async def envelope(here: Province, session: AsyncSession) -> None:
    asked = text(
        "SELECT * FROM definer.check_in_facts(ARRAY['jkt'], ARRAY['jti'], ARRAY[CAST(:call AS uuid)], ARRAY['nonce'],"
        " ARRAY[CAST(:at AS timestamptz)], CAST(:at AS timestamptz), false)"
    )
    await session.execute(asked, {"call": here.roll_call.id, "at": DURING})


async def verification(here: Province, session: AsyncSession) -> None:
    await load_inputs(session, here.app_context, here.school.school_id, [here.submission_id])


async def seen_by_staff(here: Province, session: AsyncSession) -> None:
    assert await roll_calls_page(session, here.registrar, SETTLED, None, 21)
    await access_roll_call(session, here.registrar, here.roll_call.id, SETTLED)
    await attempts_of(session, here.registrar, here.roll_call.id, here.student_id, SETTLED)


async def missing_of_class(here: Province, session: AsyncSession) -> None:
    await missing_page(session, here.registrar, here.roll_call, here.class_id, None, 101)


async def missing_of_school(here: Province, session: AsyncSession) -> None:
    found = await missing_page(session, here.registrar, here.roll_call, None, None, 51)
    after = found[49].position
    assert (await missing_page(session, here.registrar, here.roll_call, None, after, 51))[0] == found[50]


async def missing_of_province(here: Province, session: AsyncSession) -> None:
    assert len(await missing_page(session, here.top, here.roll_call, None, None, 101)) == 101


async def results_of_school(here: Province, session: AsyncSession) -> None:
    assert len(await results_page(session, here.registrar, here.roll_call, ResultFilter(), None, 101)) == 101


async def results_by_kind(here: Province, session: AsyncSession) -> None:
    assert not await results_page(session, here.top, here.roll_call, ResultFilter("undetermined"), None, 101)


async def urging(here: Province, session: AsyncSession) -> None:
    assert (await send_reminder(session, here.registrar, here.roll_call.id, None, DURING)).students > 0


async def prompts(here: Province, session: AsyncSession) -> None:
    await prompts_page(session, here.registrar, PromptSearch(open_only=True), SETTLED, None, 51)


async def progress(here: Province, session: AsyncSession) -> None:
    view = await authorize_progress(session, here.registrar, here.roll_call.id, None, SETTLED)
    assert view.unit.id == here.school.school_id


async def concerned(here: Province, session: AsyncSession) -> None:
    await session.execute(missed_by(here.school, here.roll_call.id))
    assert (await session.execute(known_in(here.school, here.roll_call.id))).all()


async def judged_daily(here: Province, session: AsyncSession) -> None:
    assert (await session.execute(students_to_assess(here.school, SETTLED))).all()


async def assessment(here: Province, session: AsyncSession) -> None:
    found = await load_student_refs(session, [here.student_id])
    assert await assess_now(session, list(found.values()), SETTLED)


OF_A_STUDENT = (own_call, own_attempts)
OF_A_SCHOOL = (
    *(
        seen_by_staff,
        missing_of_class,
        missing_of_school,
        results_of_school,
        urging,
        prompts,
        progress,
        concerned,
    ),
)
OF_THE_PROVINCE = (missing_of_province, results_by_kind)
THROUGH_TERMS = (own_history, judged_daily, assessment, verification)
"""Whose answer lies in several terms; and a task of verification knows its submission by the id alone."""


def scope_of(here: Province, question: Callable[..., object]) -> Scope:
    if question in {*OF_A_STUDENT, own_history}:
        return here.student.scope
    if question in OF_THE_PROVINCE:
        return here.top.scope
    return Scope.none() if question is envelope else here.registrar.scope


@pytest.mark.parametrize(
    "question", [*OF_A_STUDENT, *OF_A_SCHOOL, *OF_THE_PROVINCE, envelope], ids=lambda each: each.__name__
)
async def test_a_question_about_few_looks_by_indexes_into_one_term(
    province: Province, question: Callable[[Province, AsyncSession], Awaitable[None]]
) -> None:
    looks = await province.looks(scope_of(province, question), lambda session: question(province, session))
    assert looks.end_to_end == []
    assert all("_2026_spring_" in part for part in looks.partitions)


@pytest.mark.parametrize(
    "question", [*OF_A_STUDENT, *OF_A_SCHOOL, own_history], ids=lambda each: each.__name__
)
async def test_a_question_of_one_school_names_it(
    province: Province, question: Callable[[Province, AsyncSession], Awaitable[None]]
) -> None:
    looks = await province.looks(scope_of(province, question), lambda session: question(province, session))
    asked = [each for each in looks.statements if each.startswith("SELECT")]
    assert [each for each in asked if not re.search(r"\.school_id (=|IN) ", each)] == []


@pytest.mark.parametrize("question", THROUGH_TERMS, ids=lambda each: each.__name__)
async def test_a_question_through_all_terms_looks_by_indexes_too(
    province: Province, question: Callable[[Province, AsyncSession], Awaitable[None]]
) -> None:
    looks = await province.looks(scope_of(province, question), lambda session: question(province, session))
    assert looks.statements
    assert looks.end_to_end == []


async def test_a_settlement_looks_into_its_term_alone(province: Province) -> None:
    looks = await province.looks(
        province.top.scope,
        lambda session: settle_roll_call(session, province.roll_call.id, SETTLED),
        by_functions=True,
    )
    assert any(part.startswith("outcome_entry") for part in looks.partitions)
    assert [part for part in looks.partitions if "_2026_spring_" not in part] == []
