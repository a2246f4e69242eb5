"""Fills the file of a student who has a decided prompt, so that it has records of every kind, and more than a page of them."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.tables import (
    AidApplication,
    AidAward,
    AidDecision,
    AidFiling,
    AidInstalment,
    AidPayment,
    AidPosting,
)
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.identity.pictures.tables import PictureView
from backend.leave.reasons import encrypt_reason
from backend.leave.tables import LeaveRequest
from backend.people.tables import Student
from backend.standing.store.tables import (
    AttendanceEntry,
    ChangeRequest,
    PromptStatement,
    ReasonClaimRecord,
    StandingEntry,
)

MONTHS = tuple(date(2000, month, 1) for month in (9, 10, 11))
MONTHLY_FEN = 23_005
"""An amount that shows whether fen are cut off."""


async def fill_student_file(
    session: AsyncSession,
    student_id: UUID,
    roll_call_id: UUID,
    org_path: str,
    keys: KeyRing,
    at: datetime,
    *,
    attendance: int = 60,
) -> None:
    """Insert what the other tests create through services, for a student with an entry in the ledger that a prompt caused."""
    school_id = (await session.get_one(Student, student_id)).school_id
    owner = {"school_id": school_id, "student_id": student_id}
    entry = await session.scalar(
        select(StandingEntry).where(
            StandingEntry.student_id == student_id, StandingEntry.prompt_id.is_not(None)
        )
    )
    assert entry is not None
    await _add_aid(session, owner, entry, at)
    for hours in range(attendance):
        seen = at - timedelta(hours=hours + 1)
        session.add(
            AttendanceEntry(
                id=new_id(),
                present=hours % 2 == 0,
                at=seen,
                note="晚自习查寝" if hours % 5 == 0 else None,
                recorded_by=new_id(),
                recorded_at=at,
                **owner,
            )
        )
    leave_id = new_id()
    session.add_all(
        [
            PromptStatement(
                id=new_id(),
                prompt_id=entry.prompt_id,
                text="当天在医院陪护家人，附住院证明",
                filed_by=new_id(),
                guardian_link_id=None,
                at=at,
                **owner,
            ),
            PictureView(
                id=new_id(),
                account_id=new_id(),
                role="registrar",
                org_path=org_path,
                kind="portrait",
                source_id=new_id(),
                position=0,
                purpose="portrait_review",
                at=at,
                **owner,
            ),
            LeaveRequest(
                id=leave_id,
                kind="sick",
                starts_at=at - timedelta(days=9),
                ends_at=at - timedelta(days=8),
                reason_sealed=encrypt_reason(keys, leave_id, "发烧就医"),
                filed_by=new_id(),
                filed_at=at - timedelta(days=10),
                **owner,
            ),
            ReasonClaimRecord(
                id=new_id(),
                roll_call_id=roll_call_id,
                reason="no_phone",
                text="手机送修，有维修单",
                leave_id=None,
                filed_by=new_id(),
                guardian_link_id=None,
                filed_at=at,
                **owner,
            ),
            ChangeRequest(
                id=new_id(),
                item="standing_change",
                change_kind="11",
                standing="02",
                study_form=None,
                reasons="因病住院，需休养一学期",
                chain=[{"level": "school", "org_id": str(school_id)}],
                locked=False,
                policy_version="-",
                filed_by=new_id(),
                filed_at=at,
                **owner,
            ),
        ]
    )


async def _add_aid(session: AsyncSession, owner: dict[str, UUID], entry: StandingEntry, at: datetime) -> None:
    """An approved grant whose first month was paid and whose other months a change withdrew."""
    application, term, filer = new_id(), "2000-autumn", new_id()
    filed = {"id": application, "kind": "grant", "term_code": term}
    session.add(AidApplication(attempt=1, filed_by=filer, filed_at=at - timedelta(days=30), **filed, **owner))
    await session.flush()
    session.add(
        AidDecision(
            application_id=application,
            outcome="approved",
            reasons=None,
            filed_by=filer,
            decided_by=new_id(),
            decided_at=at - timedelta(days=20),
            **owner,
        )
    )
    session.add(
        AidAward(
            term_starts_on=MONTHS[0],
            policy_version="-",
            approved_at=at - timedelta(days=20),
            **filed,
            **owner,
        )
    )
    await session.flush()
    for month in MONTHS:
        session.add(AidInstalment(award_id=application, month=month, fen=MONTHLY_FEN, **owner))
    await session.flush()
    payment = new_id()
    session.add(
        AidPayment(
            id=payment,
            award_id=application,
            month=MONTHS[0],
            fen=MONTHLY_FEN,
            paid_on=date(2000, 9, 15),
            reference=None,
            source_sha256=None,
            recorded_by=new_id(),
            at=at - timedelta(days=15),
            **owner,
        )
    )
    moves = [("budget", "due", month, f"award:{application}") for month in MONTHS]
    moves.append(("due", "paid", MONTHS[0], f"payment:{payment}"))
    moves += [("due", "withdrawn", month, f"entry:{entry.id}") for month in MONTHS[1:]]
    for source, target, month, cause in moves:
        session.add(
            AidPosting(
                id=new_id(),
                award_id=application,
                month=month,
                source=source,
                target=target,
                fen=MONTHLY_FEN,
                cause=cause,
                at=at - timedelta(days=15),
                posted_at=at,
                **owner,
            )
        )
    session.add(
        AidFiling(
            id=new_id(),
            change_id=entry.id,
            kind="withdrawal",
            entry_id=entry.id,
            term_code=term,
            fen=MONTHLY_FEN * 2,
            filed_at=at,
            **owner,
        )
    )
