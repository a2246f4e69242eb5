"""Posts what the rules derive, and creates the filings and events of withdrawals and reinstatements.

`post_entries` is the only writer of postings and requires the students' locks. Standing is read as stored: a change
withdraws aid from the instant of its `AidReleased` event, and its reversal reinstates it.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.events import AidReinstated, AidWithdrawn
from backend.aid.ledger import load_ledgers
from backend.aid.rules import AidChange, Posting
from backend.aid.tables import AidFiling, AidPosting
from backend.core import audit, outbox
from backend.core.ids import new_id
from backend.people.student_lock import lock_student
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import LockedStudent, lock_for_assessment
from backend.standing.store.save import note_difference, recompute_locked
from backend.standing.store.tables import StandingEntry, StudentStanding


async def post_student_aid(session: AsyncSession, student_id: UUID, at: datetime) -> None:
    """Lock a student and post every entry that follows from the stored facts. Idempotent."""
    await post_entries(session, [await lock_for_assessment(session, student_id, at)])


async def lock_and_update_students(
    session: AsyncSession, student_ids: Collection[UUID], at: datetime
) -> dict[UUID, LockedStudent]:
    """Lock students. First save reassessments that are due and post what follows, so that later entries come after them.

    Students are locked in the order of their ids. `LockedStudent.at` is later than the withdrawals. Students outside
    the tenant scope are omitted.
    """
    students = await load_student_refs(session, student_ids)
    locked = {
        student_id: LockedStudent(students[student_id], await lock_student(session, student_id, at))
        for student_id in sorted(students)
    }
    for student_id in await _load_outdated(session, locked, at):
        await recompute_locked(session, locked[student_id])
        await post_entries(session, [locked[student_id]])
        locked_at = await lock_student(session, student_id, at)
        reloaded = await load_student_refs(session, [student_id])
        locked[student_id] = LockedStudent(reloaded[student_id], locked_at)
    return locked


async def _load_outdated(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> list[UUID]:
    """Return the students with a deadline that has passed since the last assessment, or with any standing change."""
    overdue = select(StudentStanding.student_id).where(
        StudentStanding.student_id.in_(student_ids), StudentStanding.next_at <= at
    )
    changed = select(StandingEntry.student_id).where(StandingEntry.student_id.in_(student_ids))
    return sorted(set(await session.scalars(overdue.union(changed))))


async def post_entries(session: AsyncSession, students: Collection[LockedStudent]) -> None:
    """Store the derived postings that are missing, and file the withdrawals and reinstatements among them.

    If a stored posting no longer follows from the facts, nothing is posted for that student: a replay difference is
    stored instead, for staff to examine.
    """
    await session.flush()
    ledgers = await load_ledgers(session, [student.subject for student in students])
    missing: list[tuple[LockedStudent, list[Posting]]] = []
    for student in students:
        ledger = ledgers[student.subject.student_id]
        derived = ledger.accounts(student.subject.path, student.at).postings
        unfounded = ledger.stored_postings - {posting.posting_id for posting in derived}
        if unfounded:
            differences = [
                {"kind": "aid_posting_without_basis", "id": posting_id} for posting_id in sorted(unfounded)
            ]
            await note_difference(session, student, differences, "assessment")
            continue
        new = [posting for posting in derived if posting.posting_id not in ledger.stored_postings]
        if new:
            missing.append((student, new))
    rows = [_posting_row(student, posting) for student, postings in missing for posting in postings]
    if not rows:
        return
    await session.execute(insert(AidPosting), rows)
    for student, postings in missing:
        _audit_postings(session, student, postings)
        for stored in ledgers[student.subject.student_id].changes:
            await _create_filings(session, student, stored.change, postings)


def _posting_row(student: LockedStudent, posting: Posting) -> dict[str, object]:
    return {
        "id": UUID(posting.posting_id),
        "school_id": student.subject.school_id,
        "student_id": student.subject.student_id,
        "award_id": UUID(posting.award_id),
        "month": posting.month,
        "source": posting.source.value,
        "target": posting.target.value,
        "fen": posting.fen,
        "cause": posting.cause,
        "at": posting.at,
        "posted_at": student.at,
    }


def _audit_postings(session: AsyncSession, student: LockedStudent, postings: Collection[Posting]) -> None:
    sums: dict[str, int] = defaultdict(int)
    for posting in postings:
        sums[f"{posting.source}>{posting.target}"] += posting.fen
    student_id = str(student.subject.student_id)
    act = audit.Act("aid.posted", "student", student_id, student.subject.path, after=dict(sums))
    audit.record(session, act, student.at)


async def _create_filings(
    session: AsyncSession, student: LockedStudent, change: AidChange, postings: Collection[Posting]
) -> None:
    """Create a filing for the change and one for its reversal, if the postings include entries that it caused."""
    steps = (
        ("withdrawal", f"change:{change.change_id}", change.change_id),
        ("reinstatement", f"reversal:{change.reversed_by}", change.reversed_by),
    )
    for kind, cause, entry_id in steps:
        fen = sum(posting.fen for posting in postings if posting.cause == cause)
        if not fen or entry_id is None:
            continue
        filing = AidFiling(
            id=new_id(),
            change_id=UUID(change.change_id),
            kind=kind,
            entry_id=UUID(entry_id),
            school_id=student.subject.school_id,
            student_id=student.subject.student_id,
            term_code=change.term,
            fen=fen,
            filed_at=student.at,
        )
        session.add(filing)
        await session.flush()
        facts = {"fen": fen, "term": change.term, "entry": entry_id}
        act = audit.Act(f"aid.{kind}_filed", "aid_filing", str(filing.id), student.subject.path, after=facts)
        audit.record(session, act, student.at)
        event_type = AidWithdrawn if kind == "withdrawal" else AidReinstated
        event = event_type(**student.event_fields, filing_id=filing.id)
        await outbox.emit(session, event, student.at)
