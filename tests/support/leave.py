"""A leave scenario whose clock is in the middle of a term, so that no test depends on the term's first or last day."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.database import Database
from backend.core.tables import OutboxEvent
from backend.events import deliver
from backend.leave.kinds import LeaveKind
from backend.leave.queries import Leave, load_leave_balance
from backend.leave.rules import LeaveBalance
from backend.leave.service import (
    Answer,
    DecideLeave,
    HalfDay,
    RequestLeave,
    cancel_leave,
    decide_leave,
    record_return,
    request_leave,
)
from backend.leave.stand_ins import NameStandIn, name_stand_in
from backend.notice.tables import Notice, NoticeMessage
from backend.org.terms import get_term
from tests.support.province import SampleSchool, SampleStudent, counselor_account, student_account
from tests.support.roll_call.scenario import RollCallScenario, create_scenario

INTO_THE_TERM = timedelta(days=40)


@dataclass(slots=True)
class LeaveScenario:
    """A school's students and staff around requests for leave. `today` is the clock's legal day."""

    roll_call_scenario: RollCallScenario

    @property
    def school(self) -> SampleSchool:
        return self.roll_call_scenario.school

    @property
    def pupil(self) -> SampleStudent:
        return self.school.classes[0].students[0]

    @property
    def counselor(self) -> Actor:
        return counselor_account(self.school, self.school.classes[0])

    @property
    def colleague(self) -> Actor:
        return counselor_account(self.school, self.school.classes[1])

    @property
    def at(self) -> datetime:
        return self.roll_call_scenario.clock()

    @property
    def today(self) -> date:
        return legal_day(self.at)

    def set_clock(self, days: int = 0, hour: int = 8, minute: int = 0) -> None:
        """Set the clock to an hour of the day that is `days` days from today."""
        day = self.today + timedelta(days=days)
        self.roll_call_scenario.clock.at = datetime.combine(day, time(hour, minute), tzinfo=LEGAL_ZONE)

    def next_act(self) -> datetime:
        """Give the next act on leave a new instant, as on a real clock; it is `at` until the next."""
        self.roll_call_scenario.clock.at += timedelta(milliseconds=1)
        return self.at

    def transaction(self, actor: Actor) -> Any:
        return self.roll_call_scenario.app_context.database.transaction(actor.scope)

    def student(self, pupil: SampleStudent | None = None) -> Actor:
        return student_account(self.school, pupil or self.pupil)

    async def request(
        self, first: int = 0, days: int = 1, pupil: SampleStudent | None = None, **halves: Any
    ) -> Leave:
        """Request sick leave of whole days; `first` is the number of days from today to the first one."""
        begins = self.today + timedelta(days=first)
        command = RequestLeave(
            LeaveKind.SICK,
            HalfDay(begins, halves.get("first_half", "morning")),
            HalfDay(begins + timedelta(days=days - 1), halves.get("last_half", "afternoon")),
            "发烧就医",
        )
        actor = self.student(pupil)
        async with self.transaction(actor) as session:
            return await request_leave(
                session, actor, self.roll_call_scenario.app_context.keys, command, self.next_act()
            )

    async def decide(
        self,
        leave: Leave,
        outcome: Answer = "approved",
        actor: Actor | None = None,
        opinion: str | None = None,
    ) -> Leave:
        actor = actor or self.counselor
        command = DecideLeave(leave.request.id, outcome, opinion)
        async with self.transaction(actor) as session:
            return await decide_leave(session, actor, command, self.next_act())

    async def request_approved(
        self, first: int = 0, days: int = 1, pupil: SampleStudent | None = None, **halves: Any
    ) -> Leave:
        leave = await self.request(first, days, pupil, **halves)
        return await self.decide(leave, actor=self.roll_call_scenario.registrar)

    async def cancel(self, leave: Leave, actor: Actor | None = None) -> Leave:
        actor = actor or self.student()
        async with self.transaction(actor) as session:
            return await cancel_leave(session, actor, leave.request.id, None, self.next_act())

    async def return_from(
        self, leave: Leave, actor: Actor | None = None, returned_at: datetime | None = None
    ) -> Leave:
        actor = actor or self.student()
        async with self.transaction(actor) as session:
            return await record_return(session, actor, leave.request.id, returned_at, self.next_act())

    async def tally(self, pupil: SampleStudent | None = None) -> LeaveBalance:
        actor = self.student(pupil)
        assert actor.student_id is not None
        async with self.transaction(actor) as session:
            return await load_leave_balance(session, actor.student_id, self.at)

    async def name_stand_in(self, colleague: Actor, **changes: Any) -> UUID:
        """The counselor of the first class names a colleague for three days."""
        assert colleague.counselor_id is not None
        command = NameStandIn(
            changes.get("stand_in_id", colleague.counselor_id),
            changes.get("starts_at", self.at),
            changes.get("ends_at", self.at + timedelta(days=3)),
        )
        actor = changes.get("acting", self.counselor)
        async with self.transaction(actor) as session:
            return (await name_stand_in(session, actor, command, self.at)).row.id

    async def deliver_event(self, name: str, leave: Leave) -> None:
        """Deliver the event to its consumers, as the worker does."""
        async with self.roll_call_scenario.owner_transaction() as session:
            event_id = await session.scalar(
                select(OutboxEvent.id).where(
                    OutboxEvent.name == name,
                    OutboxEvent.payload["leave_id"].astext == str(leave.request.id),
                )
            )
        assert event_id is not None, f"{name} was not recorded"
        await deliver(self.roll_call_scenario.app_context, str(event_id))

    async def notices_of(self, leave: Leave) -> list[tuple[str, UUID, str]]:
        """Kind, addressee (student or account) and Chinese text of the notices about a leave."""
        async with self.roll_call_scenario.owner_transaction() as session:
            rows = await session.execute(
                select(Notice, NoticeMessage)
                .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
                .where(NoticeMessage.group_id == leave.request.id)
                .order_by(NoticeMessage.created_at, Notice.id)
            )
            return [
                (message.kind, notice.student_id or notice.account_id, message.body_zh)
                for notice, message in rows
            ]


async def create_leave_scenario(app_context: AppContext, owner: Database) -> LeaveScenario:
    """Create a scenario in a new province, forty days into the term at eight in the morning."""
    roll_call_scenario = await create_scenario(app_context, owner)
    async with roll_call_scenario.owner_transaction() as session:
        term = await get_term(session, roll_call_scenario.school.id, legal_day(roll_call_scenario.clock()))
    roll_call_scenario.clock.at = datetime.combine(term.starts_on + INTO_THE_TERM, time(8), tzinfo=LEGAL_ZONE)
    return LeaveScenario(roll_call_scenario)
