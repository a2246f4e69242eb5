"""The aid of a school as one-liners, on a registry whose clock stands forty days into the term."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.aid.applications import (
    ApplyForClass,
    DecideAid,
    Filed,
    apply_for_aid,
    apply_for_many,
    decide_aid,
)
from backend.aid.ledger_service import books_of, post_student_aid
from backend.aid.payments import PaymentLine, PaymentsRecorded, record_payments
from backend.aid.queries import Balance, BalanceSearch, StudentAid, balances, student_aid
from backend.aid.rules import Account, AidKind
from backend.aid.tables import AidApplication, AidAward, AidFiling, AidInstalment
from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.people.tables import Student
from backend.standing.store.load import load_student_refs
from backend.standing.store.tables import ChangeReversed, PromptDelivered, PromptRecord, StandingEntry
from tests.support.province import Pupil
from tests.support.standing.scenario import Registry

PAST_THE_DEADLINE = 12
"""Days after which five working days are over, whatever holidays lie between."""


@dataclass(slots=True)
class AidDesk:
    """The registry, seen from aid. Whoever is not named is the first pupil."""

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

    async def apply_for_many(self, command: ApplyForClass, actor: Actor | None = None) -> Filed:
        actor = actor or self.registry.registrar
        async with self.registry.apart(actor) as session:
            return await apply_for_many(session, actor, command, self.keys, self.registry.at)

    async def decide(
        self, application_id: UUID, outcome: Any = "approved", actor: Actor | None = None, **more: Any
    ) -> None:
        actor = actor or self.registry.registrar
        command = DecideAid(application_id, outcome, **more)
        async with self.registry.apart(actor) as session:
            await decide_aid(session, actor, command, self.keys, self.registry.at)

    async def award(self, kind: AidKind = AidKind.GRANT, pupil: Pupil | None = None) -> list[AidInstalment]:
        """An approved application; its instalments by month."""
        application = await self.apply(kind, pupil)
        await self.decide(application.id)
        return await self.instalments(application.id)

    async def instalments(self, award_id: UUID) -> list[AidInstalment]:
        async with self.registry.apart(self.registry.registrar) as session:
            rows = await session.scalars(
                select(AidInstalment).where(AidInstalment.award_id == award_id).order_by(AidInstalment.month)
            )
            return list(rows)

    # --- paying ---

    def line(self, month: date, fen: int, pupil: Pupil | None = None, **more: Any) -> PaymentLine:
        plain = {"line": 0, "place": "#1", "kind": AidKind.GRANT, "paid_on": self.registry.today}
        return PaymentLine(student_id=(pupil or self.pupil).id, month=month, fen=fen, **{**plain, **more})

    async def pay(self, *lines: PaymentLine, actor: Actor | None = None) -> PaymentsRecorded:
        actor = actor or self.registry.registrar
        async with self.registry.apart(actor) as session:
            return await record_payments(session, actor, lines, self.registry.at)

    # --- standing ---

    async def prompt(self) -> PromptRecord:
        """Two misses, and their prompt delivered to the registrar."""
        await self.registry.misses(2)
        await self.registry.recompute()
        [prompt] = await self.registry.rows(PromptRecord)
        async with self.registry.stage.arrange() as session:
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
        found: PromptRecord = prompt
        return found

    async def expire(self) -> StandingEntry:
        """The deadline of a delivered prompt passes, and standing is kept."""
        self.registry.pass_time(days=PAST_THE_DEADLINE)
        await self.registry.recompute()
        [entry] = [row for row in await self.registry.rows(StandingEntry) if row.reverses is None]
        found: StandingEntry = entry
        return found

    async def change(self) -> StandingEntry:
        """From misses to the executed change, and its withdrawal."""
        await self.prompt()
        entry = await self.expire()
        await self.registry.run_events("AidReleased")
        return entry

    async def reverse(self, entry: StandingEntry) -> None:
        """The authority takes the change back, and aid follows."""
        self.registry.pass_time(hours=1)
        async with self.registry.stage.arrange() as session:
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

    # --- what is on file ---

    async def settle(self) -> None:
        async with self.registry.as_worker() as session:
            await post_student_aid(session, self.pupil.id, self.registry.at)

    async def aid(self, pupil: Pupil | None = None) -> StudentAid:
        actor = self.registry.registrar
        async with self.registry.apart(actor) as session:
            return await student_aid(session, actor, (pupil or self.pupil).id, self.registry.at)

    async def balance(self) -> dict[str, int]:
        """Fen on every account of the pupil."""
        sums = dict.fromkeys((account.value for account in Account), 0)
        for posting in (await self.aid()).postings:
            sums[posting.source] -= posting.fen
            sums[posting.target] += posting.fen
        return sums

    async def school_balances(self, actor: Actor | None = None) -> list[Balance]:
        actor = actor or self.registry.registrar
        async with self.registry.transaction(actor) as session:
            found = await balances(
                session, actor, BalanceSearch(school_id=self.registry.school.id), self.registry.at, None, 50
            )
            return list(found)

    async def derived(self) -> tuple[set[str], set[str]]:
        """Ids of the postings that the rules derive, and of those that are stored."""
        async with self.registry.as_worker() as session:
            found = list((await load_student_refs(session, [self.pupil.id])).values())
            own = (await books_of(session, found))[self.pupil.id]
        postings = own.accounts(found[0].path, self.registry.at).postings
        return {posting.posting_id for posting in postings}, own.posted

    async def filings(self) -> list[AidFiling]:
        return sorted(await self.registry.rows(AidFiling), key=lambda row: row.id)

    async def awards(self) -> list[AidAward]:
        return await self.registry.rows(AidAward)

    async def edit_roll(self, pupil: Pupil | None = None, /, **values: Any) -> None:
        """Change what the roll says, as the owner."""
        async with self.registry.stage.arrange() as session:
            student = await session.get_one(Student, (pupil or self.pupil).id)
            for name, value in values.items():
                setattr(student, name, value)
