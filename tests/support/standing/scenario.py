"""A scenario for tests of standing: a school with roll calls, and a clock in the middle of a term.

By default a check is launched by the city, opens immediately, lasts an hour, and is settled a few minutes after its
close. The service was available all the time, and the notice has reached every student.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import func, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tables import OutboxEvent, ServiceHeartbeat
from backend.core.tenancy import Scope
from backend.events import CONSUMED_EVENTS, EVENT_TYPES, deliver
from backend.notice.tables import Notice, NoticeMessage, NoticeReceipt
from backend.org.terms import get_term
from backend.people.tables import Student
from backend.roll_call.outcomes import OutcomeDecision, lock_obligation, write_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall
from backend.standing.engine.assess import Assessment
from backend.standing.store import tables
from backend.standing.store.save import recompute
from tests.support.province import (
    SampleSchool,
    SampleStudent,
    counselor_account,
    province_account,
    student_account,
)
from tests.support.roll_call.scenario import WINDOW, RollCallScenario, create_scenario
from tests.support.standing import copied_misses

INTO_THE_TERM = timedelta(days=40)
AFTER_THE_CLOSE = timedelta(minutes=10)


@dataclass(slots=True)
class StandingScenario:
    """A school, its students, and their recorded facts. `pupil` is the first student."""

    roll_call_scenario: RollCallScenario
    since: UUID
    """The newest event when the scenario was created. Earlier events belong to other tests."""
    recording: copied_misses.Recording | None = field(default=None, repr=False)
    transactions_at_start: int = 0
    """The number of transactions when the scenario was created. If it is unchanged, nothing has happened since."""

    @property
    def app_context(self) -> AppContext:
        return self.roll_call_scenario.app_context

    @property
    def school(self) -> SampleSchool:
        return self.roll_call_scenario.school

    @property
    def pupil(self) -> SampleStudent:
        return self.school.students[0]

    @property
    def registrar(self) -> Actor:
        return self.roll_call_scenario.registrar

    @property
    def counselor(self) -> Actor:
        return counselor_account(self.school, self.school.classes[0])

    @property
    def bureau(self) -> Actor:
        return self.roll_call_scenario.bureau

    @property
    def province(self) -> Actor:
        return province_account(self.roll_call_scenario.world.province)

    @property
    def at(self) -> datetime:
        return self.roll_call_scenario.clock()

    @property
    def today(self) -> date:
        return legal_day(self.at)

    def student(self, pupil: SampleStudent | None = None) -> Actor:
        return student_account(self.school, pupil or self.pupil)

    def set_clock(self, days: int = 0, hour: int = 8, minute: int = 0) -> None:
        """Move the clock to an hour of the day that many days from today."""
        day = self.today + timedelta(days=days)
        self.roll_call_scenario.clock.at = datetime.combine(day, time(hour, minute), tzinfo=LEGAL_ZONE)

    def pass_time(self, **span: float) -> None:
        self.roll_call_scenario.clock.at += timedelta(**span)

    def transaction(self, actor: Actor) -> Any:
        return self.app_context.database.transaction(actor.scope)

    @asynccontextmanager
    async def separate_transaction(self, actor: Actor) -> AsyncIterator[AsyncSession]:
        """A transaction that does not affect roll calls, so that misses after it can still be copied."""
        unchanged = self.transactions_at_start == self._transactions()
        async with self.transaction(actor) as session:
            yield session
        if unchanged:
            self.transactions_at_start = self._transactions()

    def as_worker(self) -> Any:
        """A transaction with the scope of a background job of the school."""
        return self.app_context.database.transaction(Scope.school(self.school.id, self.school.path))

    # --- facts ---

    async def check(
        self,
        present: Collection[SampleStudent] = (),
        actor: Actor | None = None,
        *,
        announced: bool = True,
        **changes: Any,
    ) -> RollCall:
        """Launch a roll call in which only `present` are present, and settle it. The clock is then after the close."""
        launched = await self.roll_call_scenario.launch(actor, **changes)
        roll_call = launched.roll_call
        await self.record_heartbeats(roll_call)
        if announced:
            await self.receive_notices(roll_call.id)
        self.roll_call_scenario.clock.at = roll_call.opens_at + WINDOW / 2
        for pupil in present:
            await self._record_present(roll_call, pupil)
        self.roll_call_scenario.clock.at = roll_call.closes_at + AFTER_THE_CLOSE
        await self.roll_call_scenario.settle(roll_call)
        return roll_call

    async def _record_present(self, roll_call: RollCall, pupil: SampleStudent) -> None:
        """Write the result that verification would write; the tests of roll calls cover verification itself."""
        async with self.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
            await lock_obligation(session, roll_call.id, pupil.id)
            obligation = await session.get_one(Obligation, (roll_call.id, pupil.id))
            decided = OutcomeDecision(Outcome.PRESENT, "verified", "face")
            assert await write_outcome(session, roll_call, obligation, decided, self.at)

    async def misses(self, number: int, present: Collection[SampleStudent] = ()) -> list[RollCall]:
        """Checks on consecutive days that all students except `present` miss; copied from a recording if possible."""
        if self.recording is not None and not present and self._nothing_happened(self.recording):
            return await self._copy_misses(self.recording, number)
        return await self.run_misses(number, present)

    def _nothing_happened(self, recording: copied_misses.Recording) -> bool:
        return self.at == recording.began_at and self.transactions_at_start == self._transactions()

    def _transactions(self) -> int:
        return copied_misses.count_transactions(self.app_context.database, self.roll_call_scenario.owner)

    async def _copy_misses(self, recording: copied_misses.Recording, number: int) -> list[RollCall]:
        rows, clock = recording.after[number - 1]
        async with self.roll_call_scenario.owner_transaction() as session:
            await copied_misses.add(session, recording, rows, self.roll_call_scenario.world)
            statement = (
                select(RollCall)
                .join(Obligation, Obligation.roll_call_id == RollCall.id)
                .where(Obligation.student_id == self.pupil.id)
            )
            roll_calls = list(await session.scalars(statement.order_by(RollCall.id)))
        for roll_call in roll_calls:
            await self.record_heartbeats(roll_call)
        self.roll_call_scenario.clock.at = clock
        return roll_calls

    async def run_misses(self, number: int, present: Collection[SampleStudent] = ()) -> list[RollCall]:
        """`misses` run by the real services, without copying."""
        roll_calls = []
        for _ in range(number):
            roll_calls.append(await self.check(present))
            self.set_clock(days=1)
        return roll_calls

    async def record_heartbeats(self, roll_call: RollCall) -> None:
        """Record a heartbeat of the service for every minute of the window."""
        minute = roll_call.opens_at.replace(second=0, microsecond=0)
        rows = []
        while minute < roll_call.closes_at:
            rows.append({"minute": minute})
            minute += timedelta(minutes=1)
        async with self.roll_call_scenario.owner_transaction() as session:
            await session.execute(upsert(ServiceHeartbeat).values(rows).on_conflict_do_nothing())

    async def receive_notices(self, group_id: UUID) -> None:
        """Record that every notice of a group is delivered now."""
        receipts = (
            select(Notice.id, literal("in_app"), literal("delivered"), literal(self.at), literal(self.at))
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.group_id == group_id)
        )
        columns = ["notice_id", "channel", "event", "at", "recorded_at"]
        async with self.roll_call_scenario.owner_transaction() as session:
            await session.execute(insert(NoticeReceipt).from_select(columns, receipts))

    # --- consequences ---

    async def recompute(self, pupil: SampleStudent | None = None) -> Assessment:
        async with self.as_worker() as session:
            return await recompute(session, (pupil or self.pupil).id, self.at)

    async def run_events(self, *names: str) -> int:
        """Deliver the events with these names (default: all) to their consumers, as the worker does."""
        subscribed = [name for name in names or EVENT_TYPES if name in CONSUMED_EVENTS]
        async with self.roll_call_scenario.owner_transaction() as session:
            rows = await session.scalars(
                select(OutboxEvent.id)
                .where(OutboxEvent.name.in_(subscribed), OutboxEvent.id > self.since)
                .order_by(OutboxEvent.id)
            )
            ids = list(rows)
        for event_id in ids:
            await deliver(self.app_context, str(event_id))
        return len(ids)

    async def rows(self, table: Any, pupil: SampleStudent | None = None) -> list[Any]:
        """All rows of a table about a student."""
        async with self.roll_call_scenario.owner_transaction() as session:
            rows = await session.scalars(select(table).where(table.student_id == (pupil or self.pupil).id))
            return list(rows)

    async def step(self, prompt_id: UUID) -> tables.PromptStep:
        """The step in effect of a prompt."""
        async with self.roll_call_scenario.owner_transaction() as session:
            step: tables.PromptStep = (
                await session.scalars(
                    select(tables.PromptStep)
                    .where(tables.PromptStep.prompt_id == prompt_id)
                    .order_by(tables.PromptStep.seq.desc())
                    .limit(1)
                )
            ).one()
        return step

    async def status(self, pupil: SampleStudent | None = None) -> tuple[str, str]:
        """Standing and study form on the roll."""
        async with self.roll_call_scenario.owner_transaction() as session:
            student = await session.get_one(Student, (pupil or self.pupil).id)
            return student.standing, student.study_form

    async def count(self, table: Any) -> int:
        """The number of rows of a table that belong to the school."""
        async with self.roll_call_scenario.owner_transaction() as session:
            number = await session.scalar(
                select(func.count()).select_from(table).where(table.school_id == self.school.id)
            )
        return int(number or 0)

    async def events(self, name: str, pupil: SampleStudent | None = None) -> list[dict[str, Any]]:
        """Payloads of the events about a student."""
        student_id = str((pupil or self.pupil).id)
        async with self.roll_call_scenario.owner_transaction() as session:
            rows = await session.scalars(
                select(OutboxEvent.payload)
                .where(OutboxEvent.name == name, OutboxEvent.payload["student_id"].astext == student_id)
                .order_by(OutboxEvent.id)
            )
            return list(rows)


async def create_standing_scenario(app_context: AppContext, owner: Database) -> StandingScenario:
    """Create a scenario in a new province, forty days into the term at eight in the morning, with a filed site."""
    scenario = await _create(app_context, owner)
    recording = _recordings.get(owner)
    if recording is None or recording.began_at != scenario.at:
        recording = _recordings[owner] = await _record_misses(scenario)
        scenario = await _create(app_context, owner)
    scenario.recording, scenario.transactions_at_start = recording, scenario._transactions()
    return scenario


async def _create(app_context: AppContext, owner: Database) -> StandingScenario:
    roll_call_scenario = await create_scenario(app_context, owner)
    async with roll_call_scenario.owner_transaction() as session:
        term = await get_term(session, roll_call_scenario.school.id, legal_day(roll_call_scenario.clock()))
    roll_call_scenario.clock.at = datetime.combine(term.starts_on + INTO_THE_TERM, time(8), tzinfo=LEGAL_ZONE)
    await roll_call_scenario.file_site()
    return StandingScenario(roll_call_scenario, new_id())


async def _record_misses(scenario: StandingScenario) -> copied_misses.Recording:
    async with scenario.roll_call_scenario.owner_transaction() as session:
        names = await copied_misses.load_names(session, scenario.roll_call_scenario.world)
        transaction = await copied_misses.first_transaction(session)
    recording = copied_misses.Recording(names, scenario.at)
    for _ in range(copied_misses.MOST):
        await scenario.run_misses(1)
        async with scenario.roll_call_scenario.owner_transaction() as session:
            recording.after.append(
                (await copied_misses.load_written(session, transaction, scenario.since), scenario.at)
            )
    return recording


_recordings: WeakKeyDictionary[Database, copied_misses.Recording] = WeakKeyDictionary()
