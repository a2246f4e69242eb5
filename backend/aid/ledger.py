"""Loads what a student's ledger is derived from, and derives the postings term by term."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.rules import (
    AidAccounts,
    AidChange,
    AidKind,
    Award,
    Instalment,
    Overpayment,
    Payment,
    Posting,
    compute_accounts,
)
from backend.aid.tables import AidAward, AidInstalment, AidPayment, AidPosting
from backend.core.clock import legal_day
from backend.org.paths import division_of
from backend.org.terms import TermView, get_all_terms
from backend.policy.installed import policy_at
from backend.standing.engine.ledger import SANCTIONS
from backend.standing.store.load import StudentRef
from backend.standing.store.tables import AidReleaseRecord, PromptRecord, StandingEntry

_SANCTION_CAUSES = tuple(cause.value for cause in SANCTIONS)


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A stored standing change with its instant; the law of that day says which kinds of aid it withdraws."""

    change: AidChange
    at: datetime


@dataclass(slots=True)
class StudentLedger:
    """What a student's postings are derived from, and the ids of the postings that are stored."""

    awards: list[Award] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    changes: list[StoredChange] = field(default_factory=list)
    stored_postings: set[str] = field(default_factory=set)

    def accounts(self, path: str, as_of: datetime) -> AidAccounts:
        """Derive all postings and overpayments up to an instant. No posting crosses from one term to another.

        A term's changes withdraw the kinds of aid named by the law on the day of the term's first change.
        """
        postings: list[Posting] = []
        overpayments: list[Overpayment] = []
        for term in sorted({award.term for award in self.awards}):
            awards = [award for award in self.awards if award.term == term]
            award_ids = {award.award_id for award in awards}
            payments = [payment for payment in self.payments if payment.award_id in award_ids]
            changes = [each for each in self.changes if each.change.term == term]
            kinds = _withdrawn_kinds(changes, path)
            accounts = compute_accounts(awards, payments, [each.change for each in changes], kinds, as_of)
            postings += accounts.postings
            overpayments += accounts.overpayments
        return AidAccounts(tuple(postings), tuple(overpayments))


def _withdrawn_kinds(changes: Collection[StoredChange], path: str) -> tuple[str, ...]:
    if not changes:
        return ()
    first = min(each.at for each in changes)
    return policy_at(legal_day(first), division_of(path)).texts("aid.withdrawal.kinds")


async def load_ledgers(session: AsyncSession, students: Collection[StudentRef]) -> dict[UUID, StudentLedger]:
    """Load the ledgers of many students in a fixed number of statements."""
    ids = [student.student_id for student in students]
    ledgers = {student_id: StudentLedger() for student_id in ids}
    awards = (await session.scalars(select(AidAward).where(AidAward.student_id.in_(ids)))).all()
    kinds = {row.id: AidKind(row.kind) for row in awards}
    instalments: dict[UUID, list[Instalment]] = defaultdict(list)
    for row in await session.scalars(
        select(AidInstalment).where(AidInstalment.student_id.in_(ids)).order_by(AidInstalment.month)
    ):
        instalments[row.award_id].append(Instalment(kinds[row.award_id], row.month, row.fen))
    for award in awards:
        ledgers[award.student_id].awards.append(
            Award(
                str(award.id),
                award.term_code,
                kinds[award.id],
                award.approved_at,
                tuple(instalments[award.id]),
            )
        )
    for payment in await session.scalars(select(AidPayment).where(AidPayment.student_id.in_(ids))):
        ledgers[payment.student_id].payments.append(
            Payment(str(payment.id), str(payment.award_id), payment.month, payment.at, payment.fen)
        )
    stored = select(AidPosting.student_id, AidPosting.id).where(AidPosting.student_id.in_(ids))
    for student_id, posting_id in await session.execute(stored):
        ledgers[student_id].stored_postings.add(str(posting_id))
    await _load_changes(session, students, ledgers)
    return ledgers


async def _load_changes(
    session: AsyncSession, students: Collection[StudentRef], ledgers: dict[UUID, StudentLedger]
) -> None:
    """Load the stored changes that prompts caused; `rules.find_aid_changes` returns the same from an assessment."""
    entry = StandingEntry
    rows = (
        await session.execute(
            select(entry, AidReleaseRecord.at, PromptRecord.term_code)
            .outerjoin(AidReleaseRecord, AidReleaseRecord.change_id == entry.id)
            .outerjoin(PromptRecord, PromptRecord.id == entry.prompt_id)
            .where(
                entry.student_id.in_(ledgers),
                or_(entry.cause.in_(_SANCTION_CAUSES), entry.reverses.is_not(None)),
            )
            .order_by(entry.student_id, entry.seq)
        )
    ).all()
    if not rows:
        return
    terms = await get_all_terms(session, {student.school_id for student in students})
    reversals = {row.reverses: row for row, _, _ in rows if row.reverses is not None}
    for row, released_at, term_of_prompt in rows:
        if row.reverses is not None:
            continue
        reversal = reversals.get(row.id)
        change = AidChange(
            change_id=str(row.id),
            term=_term_on(terms[row.school_id], row.at) or term_of_prompt,
            released_at=released_at,
            reversed_by=str(reversal.id) if reversal else None,
            reversed_at=reversal.at if reversal else None,
        )
        ledgers[row.student_id].changes.append(StoredChange(change, row.at))


def _term_on(terms: Iterable[TermView], at: datetime) -> str | None:
    day = legal_day(at)
    return next((term.code for term in terms if term.starts_on <= day <= term.ends_on), None)
