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
from tests.support.province import Pupil
from tests.support.standing.scenario import Registry

DAYS_TO_DEADLINE = 12
"""Days after which a deadline of five working days has passed, with any holidays."""


@dataclass(slots=True)
class AidScenario:
    """Aid on top of a standing scenario. `pupil` defaults to the first pupil of the school."""

    registry: Registry

    @property
    def pupil(self) -> Pupil:
        return self.registry.pupil

    @property
    def keys(self) -> Any:
        return self.registry.app_context.keys

    # --- applying ---

    async def apply(self, kind: AidKind = AidKind.GRANT, pupil: Pupil | None = None) -> AidApplication:
        actor = self.registry.student(pupil)
        async with self.registry.apart(actor) as session:
            return await apply_for_aid(session, actor, kind, self.keys, self.registry.at)

    async def apply_for_class(
        self, command: ApplyForClass, actor: Actor | None = None
    ) -> ClassApplicationResult:
        actor = actor or self.registry.registrar
        async with self.registry.apart(actor) as session:
            return await apply_for_class(session, actor, command, self.keys, self.registry.at)

    async def decide(
        self, application_id: UUID, outcome: Any = "approved", actor: Actor | None = None, **more: Any
    ) -> None:
        actor = actor or self.registry.registrar
        command = DecideAid(application_id, outcome, **more)
        async with self.registry.apart(actor) as session:
            await decide_aid(session, actor, command, self.keys, self.registry.at)

    async def award(self, kind: AidKind = AidKind.GRANT, pupil: Pupil | None = None) -> list[AidInstalment]:
        """Apply and approve; return the instalments by month."""
        application = await self.apply(kind, pupil)
        await self.decide(application.id)
        return await self.load_instalments(application.id)

    async def load_instalments(self, award_id: UUID) -> list[AidInstalment]:
        async with self.registry.apart(self.registry.registrar) as session:
            rows = await session.scalars(
                select(AidInstalment).where(AidInstalment.award_id == award_id).order_by(AidInstalment.month)
            )
            return list(rows)

    # --- paying ---

    def payment_line(self, month: date, fen: int, pupil: Pupil | None = None, **more: Any) -> PaymentLine:
        defaults = {"line": 0, "place": "#1", "kind": AidKind.GRANT, "paid_on": self.registry.today}
        return PaymentLine(student_id=(pupil or self.pupil).id, month=month, fen=fen, **{**defaults, **more})

    async def pay(self, *lines: PaymentLine, actor: Actor | None = None) -> PaymentResult:
        actor = actor or self.registry.registrar
        async with self.registry.apart(actor) as session:
            return await record_payments(session, actor, lines, self.registry.at)

    # --- standing ---

    async def deliver_prompt(self) -> PromptRecord:
        """Record two misses and deliver their prompt to the registrar."""
        await self.registry.misses(2)
        await self.registry.recompute()
        [prompt] = await self.registry.rows(PromptRecord)
        async with self.registry.roll_call_scenario.owner_transaction() as session:
            session.add(
                PromptDelivered(
                    prompt_id=prompt.id,
                    school_id=prompt.school_id,
                    student_id=prompt.student_id,
                    at=self.registry.at,
                    how="read",
                    acting_account=None,
                )
            )
        await self.registry.recompute()
        record: PromptRecord = prompt
        return record

    async def expire_prompt(self) -> StandingEntry:
        """Pass the deadline of the delivered prompt and reassess; return the change."""
        self.registry.pass_time(days=DAYS_TO_DEADLINE)
        await self.registry.recompute()
        [entry] = [row for row in await self.registry.rows(StandingEntry) if row.reverses is None]
        change: StandingEntry = entry
        return change

    async def execute_change(self) -> StandingEntry:
        """Execute a change from misses, and withdraw the aid."""
        await self.deliver_prompt()
        entry = await self.expire_prompt()
        await self.registry.run_events("AidReleased")
        return entry

    async def reverse_change(self, entry: StandingEntry) -> None:
        """Reverse the change as the authority, and reinstate the aid."""
        self.registry.pass_time(hours=1)
        async with self.registry.roll_call_scenario.owner_transaction() as session:
            session.add(
                ChangeReversed(
                    id=new_id(),
                    change_id=entry.id,
                    school_id=entry.school_id,
                    student_id=entry.student_id,
                    reasons="查明当日在校",
                    reversed_by=new_id(),
                    at=self.registry.at,
                )
            )
        await self.registry.recompute()
        await self.registry.run_events("StandingChanged")

    # --- stored data ---

    async def post(self) -> None:
        async with self.registry.as_worker() as session:
            await post_student_aid(session, self.pupil.id, self.registry.at)

    async def load_aid(self, pupil: Pupil | None = None) -> StudentAid:
        actor = self.registry.registrar
        async with self.registry.apart(actor) as session:
            return await get_student_aid(session, actor, (pupil or self.pupil).id, self.registry.at)

    async def load_account_balances(self) -> dict[str, int]:
        """Return the balance of every account of the pupil in fen."""
        sums = dict.fromkeys((account.value for account in Account), 0)
        for posting in (await self.load_aid()).postings:
            sums[posting.source] -= posting.fen
            sums[posting.target] += posting.fen
        return sums

    async def list_school_balances(self, actor: Actor | None = None) -> list[Balance]:
        actor = actor or self.registry.registrar
        async with self.registry.transaction(actor) as session:
            search = BalanceSearch(school_id=self.registry.school.id)
            return list(await list_balances(session, actor, search, self.registry.at, None, 50))

    async def load_posting_ids(self) -> tuple[set[str], set[str]]:
        """Return the ids of the postings that the rules derive, and of those that are stored."""
        async with self.registry.as_worker() as session:
            student = (await load_student_refs(session, [self.pupil.id]))[self.pupil.id]
            ledger = (await load_ledgers(session, [student]))[self.pupil.id]
        postings = ledger.accounts(student.path, self.registry.at).postings
        return {posting.posting_id for posting in postings}, ledger.stored_postings

    async def load_filings(self) -> list[AidFiling]:
        return sorted(await self.registry.rows(AidFiling), key=lambda row: row.id)

    async def load_awards(self) -> list[AidAward]:
        return await self.registry.rows(AidAward)

    async def update_student(self, pupil: Pupil | None = None, /, **values: Any) -> None:
        """Update columns of the student as the database owner."""
        async with self.registry.roll_call_scenario.owner_transaction() as session:
            student = await session.get_one(Student, (pupil or self.pupil).id)
            for name, value in values.items():
                setattr(student, name, value)
