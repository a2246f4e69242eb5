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
from backend.standing.change_requests.policy import ChangeKind, RequestState, change_kinds
from backend.standing.events import ChangeRequestDecided, ChangeRequested
from backend.standing.store.tables import ChangeRequest

END_PHRASES = {
    RequestState.AGREED: ("已批准并生效", "was approved and is in effect"),
    RequestState.REFUSED: ("未获批准", "was refused"),
    RequestState.WITHDRAWN: ("已由学校撤回", "was withdrawn by the school"),
}


async def notify_current_level(session: AsyncSession, event: ChangeRequested, at: datetime) -> None:
    """Notify the accounts of the current level's unit that a request waits for its opinion."""
    if event.turn_org is None:
        return
    request, kind = await _load_request(session, event.request_id)
    level = next(level for level in request.chain if level["org_id"] == str(event.turn_org))
    message = Message(
        kind="change_request_waiting",
        group_id=request.id,
        title_zh="学籍异动申请待审核",
        title_en="A change request is waiting for you",
        body_zh=f"一份“{kind.zh}”异动申请等待您单位审核，请在系统中查看。",
        body_en=f"A request for a change of standing ({kind.en}) is waiting for your unit's opinion.",
        data={"request_id": str(request.id)},
    )
    await post_notices(session, _select_deciders(level, request), message, IN_APP, at)


async def notify_request_filed(session: AsyncSession, event: ChangeRequested, at: datetime) -> None:
    """Notify the student that the school requested a change of standing."""
    request, kind = await _load_request(session, event.request_id)
    message = Message(
        kind="change_request_filed",
        group_id=request.id,
        title_zh="学校已提交学籍异动申请",
        title_en="Your school has requested a change of your standing",
        body_zh=f"学校为您提交了“{kind.zh}”异动申请，正在审核。如有疑问，请联系辅导员。",
        body_en=f"Your school has requested a change of your standing ({kind.en}). It is under review."
        " If you have questions, contact your counselor.",
        data={"request_id": str(request.id)},
    )
    await post_notice(session, StudentRecipient(request.student_id, request.school_id), message, IN_APP, at)


async def notify_request_closed(session: AsyncSession, event: ChangeRequestDecided, at: datetime) -> None:
    """Notify the school's registrars and the student of how a request was closed; no notice while it is open."""
    if event.state not in END_PHRASES:
        return
    request, kind = await _load_request(session, event.request_id)
    zh, en = END_PHRASES[event.state]
    message = Message(
        kind=f"change_request_{event.state.value}",
        group_id=request.id,
        title_zh=f"学籍异动申请{zh}",
        title_en=f"A change of standing {en}",
        body_zh=f"“{kind.zh}”异动申请{zh}。",
        body_en=f"The request for a change of standing ({kind.en}) {en}.",
        data={"request_id": str(request.id)},
    )
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
