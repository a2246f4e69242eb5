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
from backend.aid.books import books_of, settle_aid
from backend.aid.payments import PaymentLine, PaymentsRecorded, record_payments
from backend.aid.queries import Balance, BalanceSearch, StudentAid, balances, student_aid
from backend.aid.rules import Account, AidKind
from backend.aid.tables import AidApplication, AidAward, AidFiling, AidInstalment
from backend.core.acting import Acting
from backend.core.ids import new_id
from backend.people.tables import Student
from backend.standing.recorded import subjects
from backend.standing.tables import ChangeReversed, PromptDelivered, StandingEntry, StoredPrompt
from tests.standing.registry import Registry
from tests.world import Pupil

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
        return self.registry.runtime.keys

    # --- applying ---

    async def apply(self, kind: AidKind = AidKind.GRANT, pupil: Pupil | None = None) -> AidApplication:
        acting = self.registry.student(pupil)
        async with self.registry.apart(acting) as session:
            return await apply_for_aid(session, acting, kind, self.keys, self.registry.at)

    async def apply_for_many(self, command: ApplyForClass, acting: Acting | None = None) -> Filed:
        acting = acting or self.registry.registrar
        async with self.registry.apart(acting) as session:
            return await apply_for_many(session, acting, command, self.keys, self.registry.at)

    async def decide(
        self, application_id: UUID, outcome: Any = "approved", acting: Acting | None = None, **more: Any
    ) -> None:
        acting = acting or self.registry.registrar
        command = DecideAid(application_id, outcome, **more)
        async with self.registry.apart(acting) as session:
            await decide_aid(session, acting, command, self.keys, self.registry.at)

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

    async def pay(self, *lines: PaymentLine, acting: Acting | None = None) -> PaymentsRecorded:
        acting = acting or self.registry.registrar
        async with self.registry.apart(acting) as session:
            return await record_payments(session, acting, lines, self.registry.at)

    # --- standing ---

    async def prompt(self) -> StoredPrompt:
        """Two misses, and their prompt delivered to the registrar."""
        await self.registry.misses(2)
        await self.registry.reassess()
        [prompt] = await self.registry.rows(StoredPrompt)
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
        await self.registry.reassess()
        found: StoredPrompt = prompt
        return found

    async def expire(self) -> StandingEntry:
        """The deadline of a delivered prompt passes, and standing is kept."""
        self.registry.pass_time(days=PAST_THE_DEADLINE)
        await self.registry.reassess()
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
        await self.registry.reassess()
        await self.registry.run_events("StandingChanged")

    # --- what is on file ---

    async def settle(self) -> None:
        async with self.registry.as_worker() as session:
            await settle_aid(session, self.pupil.id, self.registry.at)

    async def aid(self, pupil: Pupil | None = None) -> StudentAid:
        acting = self.registry.registrar
        async with self.registry.apart(acting) as session:
            return await student_aid(session, acting, (pupil or self.pupil).id, self.registry.at)

    async def balance(self) -> dict[str, int]:
        """Fen on every account of the pupil."""
        sums = dict.fromkeys((account.value for account in Account), 0)
        for posting in (await self.aid()).postings:
            sums[posting.source] -= posting.fen
            sums[posting.target] += posting.fen
        return sums

    async def school_balances(self, acting: Acting | None = None) -> list[Balance]:
        acting = acting or self.registry.registrar
        async with self.registry.transaction(acting) as session:
            found = await balances(
                session, acting, BalanceSearch(school_id=self.registry.school.id), self.registry.at, None, 50
            )
            return list(found)

    async def derived(self) -> tuple[set[str], set[str]]:
        """Ids of the postings that the rules derive, and of those that are stored."""
        async with self.registry.as_worker() as session:
            found = list((await subjects(session, [self.pupil.id])).values())
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
