"""Ends requests without an answer: their time is over, a consent was withdrawn, or the student has a result.

The result of the student is not touched. The launching side is told of a review that was not done in time.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.identity.events import LookConsentRevoked
from backend.identity.recipients import AUTHORITY_ROLES
from backend.identity.tables import Account
from backend.org.tables import OrgUnit
from backend.roll_call.attestation.escalation import load_superior
from backend.roll_call.looks import texts
from backend.roll_call.looks.conditions import is_unanswered
from backend.roll_call.looks.notifications import tell_once
from backend.roll_call.looks.queries import is_consented, is_needed
from backend.roll_call.outcomes import lock_obligation
from backend.roll_call.tables import LookClosing, LookRequest, RollCall


async def close_request(session: AsyncSession, request: LookRequest, reason: str, at: datetime) -> None:
    """Record why a request ended. The caller holds the lock of the obligation and has found it unanswered."""
    session.add(
        LookClosing(
            request_id=request.id,
            roll_call_id=request.roll_call_id,
            school_id=request.school_id,
            term_code=request.term_code,
            student_id=request.student_id,
            reason=reason,
            at=at,
        )
    )
    await session.flush()


async def close_after_revocation(session: AsyncSession, event: LookConsentRevoked, at: datetime) -> None:
    """Close the open requests about a student who withdrew a consent."""
    requests = await session.scalars(
        select(LookRequest)
        .where(LookRequest.student_id == event.student_id, LookRequest.at <= at, is_unanswered())
        .order_by(LookRequest.roll_call_id)
    )
    for request in requests.all():
        await _close_if_unanswered(session, request, "consent_revoked", at)


async def load_ended(
    session: AsyncSession, at: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[LookRequest]:
    """A page of the unanswered requests whose time is over, or that can change nothing any more.

    Those of a rehearsal follow once it is settled: superiors do not see it before (HN334-3.3).
    """
    page = (
        select(LookRequest)
        .join(RollCall, RollCall.id == LookRequest.roll_call_id)
        .where(
            is_unanswered(),
            or_(LookRequest.expires_at <= at, not_(is_needed()), not_(is_consented())),
        )
        .order_by(LookRequest.expires_at, LookRequest.id)
        .limit(limit)
    )
    if after is not None:
        page = page.where(
            or_(
                LookRequest.expires_at > after[0],
                (LookRequest.expires_at == after[0]) & (LookRequest.id > after[1]),
            )
        )
    return (await session.scalars(page)).all()


async def close_if_ended(session: AsyncSession, request_id: UUID, at: datetime) -> bool:
    """Close one request that has ended, and report an overdue review. Idempotent."""
    request = await session.get_one(LookRequest, request_id)
    await lock_obligation(session, request.roll_call_id, request.student_id)
    row = await session.execute(
        select(is_needed(), is_consented()).where(
            LookRequest.term_code == request.term_code, LookRequest.id == request.id
        )
    )
    needed, consented = row.one()
    if not needed:
        reason = "not_needed"
    elif not consented:
        reason = "consent_revoked"
    elif request.expires_at <= at:
        reason = "expired"
    else:
        return False
    if not await _close_if_unanswered(session, request, reason, at):
        return False
    if reason == "expired" and request.reviews is not None:
        await _report_overdue(session, request, at)
    return True


async def _close_if_unanswered(
    session: AsyncSession, request: LookRequest, reason: str, at: datetime
) -> bool:
    await lock_obligation(session, request.roll_call_id, request.student_id)
    unanswered = await session.scalar(
        select(LookRequest.id).where(
            LookRequest.term_code == request.term_code, LookRequest.id == request.id, is_unanswered()
        )
    )
    if unanswered is None:
        return False
    await close_request(session, request, reason, at)
    return True


async def _report_overdue(session: AsyncSession, request: LookRequest, at: datetime) -> None:
    """Report a review that was not done to the superior of the reviewing unit; the student stays present.

    Each review has an audit entry, and each person one notice for the roll call.
    """
    roll_call = await session.get_one(RollCall, request.roll_call_id)
    superior = await load_superior(session, roll_call.launcher_path)
    reviewing = (await session.scalars(select(OrgUnit).where(OrgUnit.path == roll_call.launcher_path))).one()
    after = {"roll_call": str(roll_call.id), "student": str(request.student_id)}
    act = audit.Act(
        "look.review_overdue", "org_unit", str(reviewing.id), roll_call.launcher_path, after=after
    )
    audit.record(session, act, at)
    addressed = and_(
        Account.org_id.in_({superior.id, reviewing.id}), Account.kind.in_((*AUTHORITY_ROLES, "registrar"))
    )
    text = texts.overdue_to_staff(reviewing.name, roll_call.title, request.expires_at)
    await tell_once(session, roll_call, "review_overdue", addressed, text, at)
