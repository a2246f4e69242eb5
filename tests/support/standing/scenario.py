"""Standing as one-liners on a stage whose clock stands in the middle of a term.

A check is launched by the city, opens at once, lasts an hour, and is settled a few minutes after its close; the
marks of the service's availability are all there, and its notice has reached every student, unless a test says
otherwise.
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
from backend.events import SUBSCRIPTIONS, deliver
from backend.notice.tables import Notice, NoticeMessage, NoticeReceipt
from backend.org.terms import term_of
from backend.people.tables import Student
from backend.roll_call.outcomes import Decided, lock_obligation, write_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall
from backend.standing.engine.assess import Assessment
from backend.standing.store import tables
from backend.standing.store.save import recompute
from tests.support.province import Pupil, School, counselor_account, province_account, student_account
from tests.support.roll_call.scenario import WINDOW, Stage, staged
from tests.support.standing import copied_misses

INTO_THE_TERM = timedelta(days=40)
AFTER_THE_CLOSE = timedelta(minutes=10)


@dataclass(slots=True)
class Registry:
    """A school's students and what is recorded of them. `pupil` is the first of them."""

    stage: Stage
    since: UUID
    """The newest event of the database when the registry was opened: earlier ones are other tests'."""
    pattern: copied_misses.Pattern | None = field(default=None, repr=False)
    begun: int = 0
    """Transactions before the opening was over: while there are no more of them, nothing happened since."""

    @property
    def app_context(self) -> AppContext:
        return self.stage.app_context

    @property
    def school(self) -> School:
        return self.stage.school

    @property
    def pupil(self) -> Pupil:
        return self.school.students[0]

    @property
    def registrar(self) -> Actor:
        return self.stage.registrar

    @property
    def counselor(self) -> Actor:
        return counselor_account(self.school, self.school.classes[0])

    @property
    def bureau(self) -> Actor:
        return self.stage.bureau

    @property
    def province(self) -> Actor:
        return province_account(self.stage.world.province)

    @property
    def at(self) -> datetime:
        return self.stage.clock()

    @property
    def today(self) -> date:
        return legal_day(self.at)

    def student(self, pupil: Pupil | None = None) -> Actor:
        return student_account(self.school, pupil or self.pupil)

    def set_clock(self, days: int = 0, hour: int = 8, minute: int = 0) -> None:
        """Move to an hour of the day that lies so many days from today."""
        day = self.today + timedelta(days=days)
        self.stage.clock.at = datetime.combine(day, time(hour, minute), tzinfo=LEGAL_ZONE)

    def pass_time(self, **span: float) -> None:
        self.stage.clock.at += timedelta(**span)

    def transaction(self, actor: Actor) -> Any:
        return self.app_context.database.transaction(actor.scope)

    @asynccontextmanager
    async def apart(self, actor: Actor) -> AsyncIterator[AsyncSession]:
        """A transaction in a room that no roll call reads or writes: misses after it can still be copied."""
        unspoiled = self.begun == self._transactions()
        async with self.transaction(actor) as session:
            yield session
        if unspoiled:
            self.begun = self._transactions()

    def as_worker(self) -> Any:
        """A transaction of a background job over the school."""
        return self.app_context.database.transaction(Scope.school(self.school.id, self.school.path))

    # --- facts ---

    async def check(
        self,
        present: Collection[Pupil] = (),
        actor: Actor | None = None,
        *,
        told: bool = True,
        **changes: Any,
    ) -> RollCall:
        """Launch, let the window pass with only `present` in it, and settle; the clock stands after the close."""
        launched = await self.stage.launch(actor, **changes)
        roll_call = launched.roll_call
        await self.mark_pulses(roll_call)
        if told:
            await self.receive_notices(roll_call.id)
        self.stage.clock.at = roll_call.opens_at + WINDOW / 2
        for pupil in present:
            await self._record_present(roll_call, pupil)
        self.stage.clock.at = roll_call.closes_at + AFTER_THE_CLOSE
        await self.stage.settle(roll_call)
        return roll_call

    async def _record_present(self, roll_call: RollCall, pupil: Pupil) -> None:
        """As if verification had accepted an envelope; how it does is shown by the tests of roll calls."""
        async with self.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
            await lock_obligation(session, roll_call.id, pupil.id)
            obligation = await session.get_one(Obligation, (roll_call.id, pupil.id))
            decided = Decided(Outcome.PRESENT, "verified", "verification")
            assert await write_outcome(session, roll_call, obligation, decided, self.at)

    async def misses(self, number: int, present: Collection[Pupil] = ()) -> list[RollCall]:
        """So many checks on consecutive days that everyone but `present` missed."""
        if self.pattern is not None and not present and self._nothing_happened(self.pattern):
            return await self._copied(self.pattern, number)
        return await self.play_misses(number, present)

    def _nothing_happened(self, pattern: copied_misses.Pattern) -> bool:
        return self.at == pattern.began_at and self.begun == self._transactions()

    def _transactions(self) -> int:
        return copied_misses.transactions_of(self.app_context.database, self.stage.owner)

    async def _copied(self, pattern: copied_misses.Pattern, number: int) -> list[RollCall]:
        rows, clock = pattern.after[number - 1]
        async with self.stage.arrange() as session:
            await copied_misses.add(session, pattern, rows, self.stage.world)
            found = (
                select(RollCall)
                .join(Obligation, Obligation.roll_call_id == RollCall.id)
                .where(Obligation.student_id == self.pupil.id)
            )
            roll_calls = list(await session.scalars(found.order_by(RollCall.id)))
        for roll_call in roll_calls:
            await self.mark_pulses(roll_call)
        self.stage.clock.at = clock
        return roll_calls

    async def play_misses(self, number: int, present: Collection[Pupil] = ()) -> list[RollCall]:
        """The same by the services themselves, every time."""
        found = []
        for _ in range(number):
            found.append(await self.check(present))
            self.set_clock(days=1)
        return found

    async def mark_pulses(self, roll_call: RollCall) -> None:
        """The marks of every minute of the window."""
        minute = roll_call.opens_at.replace(second=0, microsecond=0)
        rows = []
        while minute < roll_call.closes_at:
            rows.append({"minute": minute})
            minute += timedelta(minutes=1)
        async with self.stage.arrange() as session:
            await session.execute(upsert(ServiceHeartbeat).values(rows).on_conflict_do_nothing())

    async def receive_notices(self, group_id: UUID) -> None:
        """Every notice of a group reaches its addressee now."""
        found = (
            select(Notice.id, literal("in_app"), literal("delivered"), literal(self.at), literal(self.at))
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.group_id == group_id)
        )
        columns = ["notice_id", "channel", "event", "at", "recorded_at"]
        async with self.stage.arrange() as session:
            await session.execute(insert(NoticeReceipt).from_select(columns, found))

    # --- what follows ---

    async def recompute(self, pupil: Pupil | None = None) -> Assessment:
        async with self.as_worker() as session:
            return await recompute(session, (pupil or self.pupil).id, self.at)

    async def run_events(self, *names: str) -> int:
        """Tell the consumers of every event of these names that has not been told yet, as the worker does."""
        wanted = [name for name in names or SUBSCRIPTIONS if SUBSCRIPTIONS[name]]
        async with self.stage.arrange() as session:
            rows = await session.scalars(
                select(OutboxEvent.id)
                .where(OutboxEvent.name.in_(wanted), OutboxEvent.id > self.since)
                .order_by(OutboxEvent.id)
            )
            ids = list(rows)
        for event_id in ids:
            await deliver(self.app_context, str(event_id))
        return len(ids)

    async def rows(self, table: Any, pupil: Pupil | None = None) -> list[Any]:
        """Everything in a table about a student."""
        async with self.stage.arrange() as session:
            found = await session.scalars(select(table).where(table.student_id == (pupil or self.pupil).id))
            return list(found)

    async def step(self, prompt_id: UUID) -> tables.PromptStep:
        """The step of a prompt that is in effect."""
        async with self.stage.arrange() as session:
            found: tables.PromptStep = (
                await session.scalars(
                    select(tables.PromptStep)
                    .where(tables.PromptStep.prompt_id == prompt_id)
                    .order_by(tables.PromptStep.seq.desc())
                    .limit(1)
                )
            ).one()
        return found

    async def status(self, pupil: Pupil | None = None) -> tuple[str, str]:
        """Standing and study form on the roll."""
        async with self.stage.arrange() as session:
            student = await session.get_one(Student, (pupil or self.pupil).id)
            return student.standing, student.study_form

    async def count(self, table: Any) -> int:
        """Rows of a table that belong to the school."""
        async with self.stage.arrange() as session:
            found = await session.scalar(
                select(func.count()).select_from(table).where(table.school_id == self.school.id)
            )
        return int(found or 0)

    async def events(self, name: str, pupil: Pupil | None = None) -> list[dict[str, Any]]:
        """Payloads of the events about a student."""
        wanted = str((pupil or self.pupil).id)
        async with self.stage.arrange() as session:
            rows = await session.scalars(
                select(OutboxEvent.payload)
                .where(OutboxEvent.name == name, OutboxEvent.payload["student_id"].astext == wanted)
                .order_by(OutboxEvent.id)
            )
            return list(rows)


async def opened(app_context: AppContext, owner: Database) -> Registry:
    """A registry on a new world, forty days into the term at eight in the morning, its site filed."""
    registry = await _fresh(app_context, owner)
    known = _patterns.get(owner)
    if known is None or known.began_at != registry.at:
        known = _patterns[owner] = await _played(registry)
        registry = await _fresh(app_context, owner)
    registry.pattern, registry.begun = known, registry._transactions()
    return registry


async def _fresh(app_context: AppContext, owner: Database) -> Registry:
    stage = await staged(app_context, owner)
    async with stage.arrange() as session:
        term = await term_of(session, stage.school.id, legal_day(stage.clock()))
    stage.clock.at = datetime.combine(term.starts_on + INTO_THE_TERM, time(8), tzinfo=LEGAL_ZONE)
    await stage.file_site()
    return Registry(stage, new_id())


async def _played(registry: Registry) -> copied_misses.Pattern:
    async with registry.stage.arrange() as session:
        names = await copied_misses.names_of(session, registry.stage.world)
        transaction = await copied_misses.first_transaction(session)
    pattern = copied_misses.Pattern(names, registry.at)
    for _ in range(copied_misses.MOST):
        await registry.play_misses(1)
        async with registry.stage.arrange() as session:
            pattern.after.append(
                (await copied_misses.written(session, transaction, registry.since), registry.at)
            )
    return pattern


_patterns: WeakKeyDictionary[Database, copied_misses.Pattern] = WeakKeyDictionary()
