"""Keeping the books of aid: what the rules derive is posted once, filed and told; a contradiction is only noted.

Nothing is decided here, and nothing is posted but by `post_accounts`, under the students' turns. Standing counts
as it is stored: a change withdraws from the instant that `aid_released` names, a reversal brings back.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.rules import (
    AidAccounts,
    AidChange,
    AidKind,
    Award,
    Discrepancy,
    Instalment,
    Payment,
    Posting,
    aid_accounts,
)
from backend.aid.tables import AidAward, AidFiling, AidInstalment, AidPayment, AidPosting
from backend.core import audit, outbox
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.org.paths import division_of
from backend.org.terms import TermView, all_terms_of
from backend.people.student_lock import lock_student
from backend.policy.installed import policy_at
from backend.standing.engine.ledger import SANCTIONS
from backend.standing.store.load import StudentRef, load_student_refs
from backend.standing.store.lock import LockedStudent, lock_and_assess
from backend.standing.store.save import note_difference, save_current
from backend.standing.store.tables import AidReleaseRecord, PromptRecord, StandingEntry, StudentStanding

_SANCTIONS = tuple(cause.value for cause in SANCTIONS)


# --- taking the turn ---


async def post_student_aid(session: AsyncSession, student_id: UUID, at: datetime) -> None:
    """Post whatever follows from everything recorded of a student. Safe to run any number of times."""
    await post_accounts(session, [await lock_and_assess(session, student_id, at)])


async def hold_up_to_date(
    session: AsyncSession, student_ids: Collection[UUID], at: datetime
) -> dict[UUID, LockedStudent]:
    """Hold the turns of students, with every expiry that is due executed and its withdrawal posted.

    So money that is recorded now comes after a withdrawal that was due before. Turns are taken in one order;
    the instants to record under lie after those withdrawals. Students whom the scope hides are left out.
    """
    found = await load_student_refs(session, student_ids)
    held = {
        student_id: LockedStudent(found[student_id], await lock_student(session, student_id, at))
        for student_id in sorted(found)
    }
    for student_id in await _due(session, held, at):
        await save_current(session, held[student_id])
        await post_accounts(session, [held[student_id]])
        turn = await lock_student(session, student_id, at)
        again = await load_student_refs(session, [student_id])
        held[student_id] = LockedStudent(again[student_id], turn)
    return held


async def _due(session: AsyncSession, held: Collection[UUID], at: datetime) -> list[UUID]:
    """Those whom time alone may have changed since standing was kept, or whose standing ever changed."""
    standing = select(StudentStanding.student_id).where(
        StudentStanding.student_id.in_(held), StudentStanding.next_at <= at
    )
    changed = select(StandingEntry.student_id).where(StandingEntry.student_id.in_(held))
    return sorted(set(await session.scalars(standing.union(changed))))


# --- reading ---


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A standing change as aid sees it, with the legal day whose law says which kinds of aid it withdraws."""

    change: AidChange
    at: datetime


@dataclass(slots=True)
class StudentLedger:
    """Everything recorded of a student that the ledger rests on, and the ids of what is posted."""

    awards: list[Award] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    changes: list[StoredChange] = field(default_factory=list)
    posted: set[str] = field(default_factory=set)

    def accounts(self, path: str, as_of: datetime) -> AidAccounts:
        """All postings and discrepancies at the instant, term by term: no entry crosses from one to another.

        The kinds that a term's changes withdraw are those of the law on the day of its first change.
        """
        postings: list[Posting] = []
        discrepancies: list[Discrepancy] = []
        for term in sorted({award.term for award in self.awards}):
            awards = [award for award in self.awards if award.term == term]
            ids = {award.award_id for award in awards}
            payments = [payment for payment in self.payments if payment.award_id in ids]
            changes = [each for each in self.changes if each.change.term == term]
            found = aid_accounts(
                awards, payments, [each.change for each in changes], _kinds(changes, path), as_of
            )
            postings += found.postings
            discrepancies += found.discrepancies
        return AidAccounts(tuple(postings), tuple(discrepancies))


def _kinds(changes: Collection[StoredChange], path: str) -> tuple[str, ...]:
    if not changes:
        return ()
    first = min(each.at for each in changes)
    return policy_at(legal_day(first), division_of(path)).texts("aid.withdrawal.kinds")


async def books_of(session: AsyncSession, asked: Collection[StudentRef]) -> dict[UUID, StudentLedger]:
    """The books of each student, in a few statements for any number."""
    ids = [subject.student_id for subject in asked]
    books = {student_id: StudentLedger() for student_id in ids}
    parts: dict[UUID, list[Instalment]] = defaultdict(list)
    rows = (await session.scalars(select(AidAward).where(AidAward.student_id.in_(ids)))).all()
    kinds = {row.id: AidKind(row.kind) for row in rows}
    for part in await session.scalars(
        select(AidInstalment).where(AidInstalment.student_id.in_(ids)).order_by(AidInstalment.month)
    ):
        parts[part.award_id].append(Instalment(kinds[part.award_id], part.month, part.fen))
    for row in rows:
        award = Award(str(row.id), row.term_code, kinds[row.id], row.approved_at, tuple(parts[row.id]))
        books[row.student_id].awards.append(award)
    for paid in await session.scalars(select(AidPayment).where(AidPayment.student_id.in_(ids))):
        books[paid.student_id].payments.append(
            Payment(str(paid.id), str(paid.award_id), paid.month, paid.at, paid.fen)
        )
    posted = select(AidPosting.student_id, AidPosting.id).where(AidPosting.student_id.in_(ids))
    for student_id, posting_id in await session.execute(posted):
        books[student_id].posted.add(str(posting_id))
    await _read_changes(session, asked, books)
    return books


async def _read_changes(
    session: AsyncSession, asked: Collection[StudentRef], books: dict[UUID, StudentLedger]
) -> None:
    """The changes that prompts caused, as `rules.aid_changes` reads them off a picture."""
    entry = StandingEntry
    found = await session.execute(
        select(entry, AidReleaseRecord.at, PromptRecord.term_code)
        .outerjoin(AidReleaseRecord, AidReleaseRecord.change_id == entry.id)
        .outerjoin(PromptRecord, PromptRecord.id == entry.prompt_id)
        .where(entry.student_id.in_(books), or_(entry.cause.in_(_SANCTIONS), entry.reverses.is_not(None)))
        .order_by(entry.student_id, entry.seq)
    )
    rows = found.all()
    if not rows:
        return
    terms = await all_terms_of(session, {subject.school_id for subject in asked})
    undone = {row.reverses: row for row, _, _ in rows if row.reverses is not None}
    for row, released_at, prompted in rows:
        if row.reverses is not None:
            continue
        reversal = undone.get(row.id)
        change = AidChange(
            change_id=str(row.id),
            term=_term_on(terms[row.school_id], row.at) or prompted,
            released_at=released_at,
            reversed_by=str(reversal.id) if reversal else None,
            reversed_at=reversal.at if reversal else None,
        )
        books[row.student_id].changes.append(StoredChange(change, row.at))


def _term_on(terms: Iterable[TermView], at: datetime) -> str | None:
    day = legal_day(at)
    return next((term.code for term in terms if term.starts_on <= day <= term.ends_on), None)


# --- writing ---


async def post_accounts(session: AsyncSession, held: Collection[LockedStudent]) -> None:
    """Post what follows for students whose turns are held, and file withdrawals and reinstatements.

    A stored posting that no longer follows is noted for a person, and that student's books stay as they are.
    """
    await session.flush()
    books = await books_of(session, [each.subject for each in held])
    new: list[tuple[LockedStudent, list[Posting]]] = []
    for each in held:
        own = books[each.subject.student_id]
        derived = own.accounts(each.subject.path, each.at).postings
        unfounded = own.posted - {posting.posting_id for posting in derived}
        if unfounded:
            found = [{"kind": "aid_posting_without_basis", "id": posting} for posting in sorted(unfounded)]
            await note_difference(session, each, found, "assessment")
            continue
        new.append((each, [posting for posting in derived if posting.posting_id not in own.posted]))
    rows = [_row(each, posting) for each, postings in new for posting in postings]
    if not rows:
        return
    await session.execute(insert(AidPosting), rows)
    for each, postings in new:
        if postings:
            _audit(session, each, postings)
            for stored in books[each.subject.student_id].changes:
                await _file(session, each, stored.change, postings)


def _row(held: LockedStudent, posting: Posting) -> dict[str, object]:
    return {
        "id": UUID(posting.posting_id),
        "school_id": held.subject.school_id,
        "student_id": held.subject.student_id,
        "award_id": UUID(posting.award_id),
        "month": posting.month,
        "source": posting.source.value,
        "target": posting.target.value,
        "fen": posting.fen,
        "cause": posting.cause,
        "at": posting.at,
        "posted_at": held.at,
    }


def _audit(session: AsyncSession, held: LockedStudent, new: Collection[Posting]) -> None:
    moved: dict[str, int] = defaultdict(int)
    for posting in new:
        moved[f"{posting.source}>{posting.target}"] += posting.fen
    student = str(held.subject.student_id)
    audit.record(
        session, audit.Act("aid.posted", "student", student, held.subject.path, after=dict(moved)), held.at
    )


async def _file(
    session: AsyncSession, held: LockedStudent, change: AidChange, new: Collection[Posting]
) -> None:
    """A filing with the aid office for a change, and for its reversal, if it moved anything just now."""
    steps = (
        ("withdrawal", f"change:{change.change_id}", change.change_id),
        ("reinstatement", f"reversal:{change.reversed_by}", change.reversed_by),
    )
    for kind, cause, entry_id in steps:
        fen = sum(posting.fen for posting in new if posting.cause == cause)
        if not fen or entry_id is None:
            continue
        filing = AidFiling(
            id=new_id(),
            change_id=UUID(change.change_id),
            kind=kind,
            entry_id=UUID(entry_id),
            school_id=held.subject.school_id,
            student_id=held.subject.student_id,
            term_code=change.term,
            fen=fen,
            filed_at=held.at,
        )
        session.add(filing)
        await session.flush()
        await _announce(session, held, filing)


async def _announce(session: AsyncSession, held: LockedStudent, filing: AidFiling) -> None:
    facts = {"fen": filing.fen, "term": filing.term_code, "entry": str(filing.entry_id)}
    act = audit.Act(f"aid.{filing.kind}_filed", "aid_filing", str(filing.id), held.subject.path, after=facts)
    audit.record(session, act, held.at)
    payload = {
        "filing_id": str(filing.id),
        "school_id": str(filing.school_id),
        "student_id": str(filing.student_id),
        "path": held.subject.path,
    }
    name = "AidWithdrawn" if filing.kind == "withdrawal" else "AidReinstated"
    await outbox.emit(session, name, payload, held.at)
