"""A scenario for tests of aid: applies, decides, pays and changes standing with one call each."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.aid.applications import (
    ApplyForClass,
    ClassApplicationResult,
    DecideAid,
    apply_for_aid,
    apply_for_class,
    decide_aid,
)
from backend.aid.ledger import load_ledgers
from backend.aid.ledger_service import post_student_aid
from backend.aid.payments import PaymentLine, PaymentResult, record_payments
from backend.aid.queries import Balance, BalanceSearch, StudentAid, get_student_aid, list_balances
from backend.aid.rules import Account, AidKind
from backend.aid.tables import AidApplication, AidAward, AidFiling, AidInstalment
from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.people.tables import Student
from backend.standing.store.load import load_student_refs
from backend.standing.store.tables import ChangeReversed, PromptDelivered, PromptRecord, StandingEntry
from tests.support.province import SampleStudent
from tests.support.standing.scenario import StandingScenario

DAYS_TO_DEADLINE = 12
"""Days after which a deadline of five working days has passed, with any holidays."""


@dataclass(slots=True)
class AidScenario:
    """Aid on top of a standing scenario. `pupil` defaults to the first pupil of the school."""

    standing_scenario: StandingScenario

    @property
    def pupil(self) -> SampleStudent:
        return self.standing_scenario.pupil

    @property
    def keys(self) -> Any:
        return self.standing_scenario.app_context.keys

    # --- applying ---

    async def apply(
        self, kind: AidKind = AidKind.GRANT, pupil: SampleStudent | None = None
    ) -> AidApplication:
        actor = self.standing_scenario.student(pupil)
        async with self.standing_scenario.separate_transaction(actor) as session:
            return await apply_for_aid(session, actor, kind, self.keys, self.standing_scenario.at)

    async def apply_for_class(
        self, command: ApplyForClass, actor: Actor | None = None
    ) -> ClassApplicationResult:
        actor = actor or self.standing_scenario.registrar
        async with self.standing_scenario.separate_transaction(actor) as session:
            return await apply_for_class(session, actor, command, self.keys, self.standing_scenario.at)

    async def decide(
        self, application_id: UUID, outcome: Any = "approved", actor: Actor | None = None, **more: Any
    ) -> None:
        actor = actor or self.standing_scenario.registrar
        command = DecideAid(application_id, outcome, **more)
        async with self.standing_scenario.separate_transaction(actor) as session:
            await decide_aid(session, actor, command, self.keys, self.standing_scenario.at)

    async def award(
        self, kind: AidKind = AidKind.GRANT, pupil: SampleStudent | None = None
    ) -> list[AidInstalment]:
        """Apply and approve; return the instalments by month."""
        application = await self.apply(kind, pupil)
        await self.decide(application.id)
        return await self.load_instalments(application.id)

    async def load_instalments(self, award_id: UUID) -> list[AidInstalment]:
        async with self.standing_scenario.separate_transaction(self.standing_scenario.registrar) as session:
            rows = await session.scalars(
                select(AidInstalment).where(AidInstalment.award_id == award_id).order_by(AidInstalment.month)
            )
            return list(rows)

    # --- paying ---

    def payment_line(
        self, month: date, fen: int, pupil: SampleStudent | None = None, **more: Any
    ) -> PaymentLine:
        defaults = {"line": 0, "place": "#1", "kind": AidKind.GRANT, "paid_on": self.standing_scenario.today}
        return PaymentLine(student_id=(pupil or self.pupil).id, month=month, fen=fen, **{**defaults, **more})

    async def pay(self, *lines: PaymentLine, actor: Actor | None = None) -> PaymentResult:
        actor = actor or self.standing_scenario.registrar
        async with self.standing_scenario.separate_transaction(actor) as session:
            return await record_payments(session, actor, lines, self.standing_scenario.at)

    # --- standing ---

    async def deliver_prompt(self) -> PromptRecord:
        """Record two misses and deliver their prompt to the registrar."""
        await self.standing_scenario.misses(2)
        await self.standing_scenario.recompute()
        [prompt] = await self.standing_scenario.rows(PromptRecord)
        async with self.standing_scenario.roll_call_scenario.owner_transaction() as session:
            session.add(
                PromptDelivered(
                    prompt_id=prompt.id,
                    school_id=prompt.school_id,
                    student_id=prompt.student_id,
                    at=self.standing_scenario.at,
                    how="read",
                    acting_account=None,
                )
            )
        await self.standing_scenario.recompute()
        record: PromptRecord = prompt
        return record

    async def expire_prompt(self) -> StandingEntry:
        """Pass the deadline of the delivered prompt and reassess; return the change."""
        self.standing_scenario.pass_time(days=DAYS_TO_DEADLINE)
        await self.standing_scenario.recompute()
        [entry] = [row for row in await self.standing_scenario.rows(StandingEntry) if row.reverses is None]
        change: StandingEntry = entry
        return change

    async def execute_change(self) -> StandingEntry:
        """Execute a change from misses, and withdraw the aid."""
        await self.deliver_prompt()
        entry = await self.expire_prompt()
        await self.standing_scenario.run_events("AidReleased")
        return entry

    async def reverse_change(self, entry: StandingEntry) -> None:
        """Reverse the change as the authority, and reinstate the aid."""
        self.standing_scenario.pass_time(hours=1)
        async with self.standing_scenario.roll_call_scenario.owner_transaction() as session:
            session.add(
                ChangeReversed(
                    id=new_id(),
                    change_id=entry.id,
                    school_id=entry.school_id,
                    student_id=entry.student_id,
                    reasons="查明当日在校",
                    reversed_by=new_id(),
                    at=self.standing_scenario.at,
                )
            )
        await self.standing_scenario.recompute()
        await self.standing_scenario.run_events("StandingChanged")

    # --- stored data ---

    async def post(self) -> None:
        async with self.standing_scenario.as_worker() as session:
            await post_student_aid(session, self.pupil.id, self.standing_scenario.at)

    async def load_aid(self, pupil: SampleStudent | None = None) -> StudentAid:
        actor = self.standing_scenario.registrar
        async with self.standing_scenario.separate_transaction(actor) as session:
            return await get_student_aid(session, actor, (pupil or self.pupil).id, self.standing_scenario.at)

    async def load_account_balances(self) -> dict[str, int]:
        """Return the balance of every account of the pupil in fen."""
        sums = dict.fromkeys((account.value for account in Account), 0)
        for posting in (await self.load_aid()).postings:
            sums[posting.source] -= posting.fen
            sums[posting.target] += posting.fen
        return sums

    async def list_school_balances(self, actor: Actor | None = None) -> list[Balance]:
        actor = actor or self.standing_scenario.registrar
        async with self.standing_scenario.transaction(actor) as session:
            search = BalanceSearch(school_id=self.standing_scenario.school.id)
            return list(await list_balances(session, actor, search, self.standing_scenario.at, None, 50))

    async def load_posting_ids(self) -> tuple[set[str], set[str]]:
        """Return the ids of the postings that the rules derive, and of those that are stored."""
        async with self.standing_scenario.as_worker() as session:
            student = (await load_student_refs(session, [self.pupil.id]))[self.pupil.id]
            ledger = (await load_ledgers(session, [student]))[self.pupil.id]
        postings = ledger.accounts(student.path, self.standing_scenario.at).postings
        return {posting.posting_id for posting in postings}, ledger.stored_postings

    async def load_filings(self) -> list[AidFiling]:
        return sorted(await self.standing_scenario.rows(AidFiling), key=lambda row: row.id)

    async def load_awards(self) -> list[AidAward]:
        return await self.standing_scenario.rows(AidAward)

    async def update_student(self, pupil: SampleStudent | None = None, /, **values: Any) -> None:
        """Update columns of the student as the database owner."""
        async with self.standing_scenario.roll_call_scenario.owner_transaction() as session:
            student = await session.get_one(Student, (pupil or self.pupil).id)
            for name, value in values.items():
                setattr(student, name, value)
