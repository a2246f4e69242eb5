"""Notices of change requests to the unit of the current level, the school and the student.

Notices contain no reason and no name. Notices to a superior run in the superior's scope, because a school's scope does
not include its accounts.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.identity.recipients import Recipients, registrars, unit_staff
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.policy.installed import policy_at
from backend.standing.change_requests import texts
from backend.standing.change_requests.policy import ChangeKind, change_kinds
from backend.standing.events import ChangeRequestDecided, ChangeRequested
from backend.standing.store.tables import ChangeRequest


async def notify_current_level(session: AsyncSession, event: ChangeRequested, at: datetime) -> None:
    """Notify the accounts of the current level's unit that a request waits for its opinion."""
    if event.turn_org is None:
        return
    request, kind = await _load_request(session, event.request_id)
    level = next(level for level in request.chain if level["org_id"] == str(event.turn_org))
    text = texts.waiting_to_staff(kind)
    message = Message.of("change_request_waiting", request.id, text, {"request_id": request.id})
    await post_notices(session, _select_deciders(level, request), message, IN_APP, at)


async def notify_request_filed(session: AsyncSession, event: ChangeRequested, at: datetime) -> None:
    """Notify the student that the school requested a change of standing."""
    request, kind = await _load_request(session, event.request_id)
    text = texts.filed_to_student(kind)
    message = Message.of("change_request_filed", request.id, text, {"request_id": request.id})
    await post_notice(session, StudentRecipient(request.student_id, request.school_id), message, IN_APP, at)


async def notify_request_closed(session: AsyncSession, event: ChangeRequestDecided, at: datetime) -> None:
    """Notify the school's registrars and the student of how a request was closed; no notice while it is open."""
    if event.state not in texts.END_PHRASES:
        return
    request, kind = await _load_request(session, event.request_id)
    text = texts.closed_to_student(event.state, kind)
    message = Message.of(f"change_request_{event.state.value}", request.id, text, {"request_id": request.id})
    await post_notices(session, registrars(request.school_id), message, IN_APP, at)
    await post_notice(session, StudentRecipient(request.student_id, request.school_id), message, IN_APP, at)


async def _load_request(session: AsyncSession, request_id: UUID) -> tuple[ChangeRequest, ChangeKind]:
    request = await session.get_one(ChangeRequest, request_id)
    school = await session.get_one(OrgUnit, request.school_id)
    kinds = change_kinds(policy_at(legal_day(request.filed_at), division_of(school.path)))
    return request, kinds[request.change_kind]


def _select_deciders(level: dict[str, str], request: ChangeRequest) -> Recipients:
    """The accounts that may give the opinion of a level; never the registrar who filed."""
    role = {"school": "registrar", "province": "province"}.get(level["level"], "bureau")
    return unit_staff(UUID(level["org_id"]), (role,)).where(Account.id != request.filed_by)
