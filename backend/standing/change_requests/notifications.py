"""Who is told of a change request: the unit whose turn it is, and at the end the school and the student.

Notices carry no reason and no name. A superior is told under a scope of theirs, since a school's cannot address them.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, null, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.identity.tables import Account
from backend.notice.messages import Channel, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.policy.installed import policy_at
from backend.standing.change_requests.policy import ChangeKind, RequestState, change_kinds
from backend.standing.store.tables import ChangeRequest

IN_APP: tuple[Channel, ...] = ("in_app",)
ENDED = {
    RequestState.AGREED: ("已批准并生效", "was approved and is in effect"),
    RequestState.REFUSED: ("未获批准", "was refused"),
    RequestState.WITHDRAWN: ("已由学校撤回", "was withdrawn by the school"),
}


async def tell_turn(session: AsyncSession, request_id: UUID, turn_org: UUID, at: datetime) -> None:
    """The accounts of the unit whose turn it is learn that a request waits."""
    request, kind = await _request(session, request_id)
    turn = next(each for each in request.chain if each["org_id"] == str(turn_org))
    message = Message(
        kind="change_request_waiting",
        group_id=request.id,
        title_zh="学籍异动申请待审核",
        title_en="A change of standing waits for you",
        body_zh=f"一份“{kind.zh}”异动申请等待您单位审核，请在系统中查看。",
        body_en=f"A request for a change of standing ({kind.en}) waits for your unit's opinion.",
        data={"request_id": str(request.id)},
    )
    await post_notices(session, _deciding(turn, request), message, IN_APP, at)


async def tell_filed(session: AsyncSession, request_id: UUID, at: datetime) -> None:
    """The student learns that the school asks for a change of the record."""
    request, kind = await _request(session, request_id)
    message = Message(
        kind="change_request_filed",
        group_id=request.id,
        title_zh="学校已提交学籍异动申请",
        title_en="Your school has asked for a change of your standing",
        body_zh=f"学校为您提交了“{kind.zh}”异动申请，正在审核。如有疑问，请联系辅导员。",
        body_en=f"Your school has filed a change of your standing ({kind.en}); it is under review."
        " If that surprises you, ask your counselor.",
        data={"request_id": str(request.id)},
    )
    await post_notice(session, StudentRecipient(request.student_id, request.school_id), message, IN_APP, at)


async def tell_ended(session: AsyncSession, request_id: UUID, state: RequestState, at: datetime) -> None:
    """The school's registrars and the student learn how a request ended; nothing while it climbs."""
    if state not in ENDED:
        return
    request, kind = await _request(session, request_id)
    zh, en = ENDED[state]
    message = Message(
        kind=f"change_request_{state.value}",
        group_id=request.id,
        title_zh=f"学籍异动申请{zh}",
        title_en=f"A change of standing {en}",
        body_zh=f"“{kind.zh}”异动申请{zh}。",
        body_en=f"The request for a change of standing ({kind.en}) {en}.",
        data={"request_id": str(request.id)},
    )
    await post_notices(session, _staff(request.school_id, "registrar"), message, IN_APP, at)
    await post_notice(session, StudentRecipient(request.student_id, request.school_id), message, IN_APP, at)


async def _request(session: AsyncSession, request_id: UUID) -> tuple[ChangeRequest, ChangeKind]:
    request = await session.get_one(ChangeRequest, request_id)
    school = await session.get_one(OrgUnit, request.school_id)
    kinds = change_kinds(policy_at(legal_day(request.filed_at), division_of(school.path)))
    return request, kinds[request.change_kind]


def _deciding(turn: dict[str, str], request: ChangeRequest) -> Select[*tuple[Any, ...]]:
    """Who may give the opinion of a level: never the registrar who filed."""
    kind = {"school": "registrar", "province": "province"}.get(turn["level"], "bureau")
    return _staff(UUID(turn["org_id"]), kind).where(Account.id != request.filed_by)


def _staff(org_id: UUID, kind: str) -> Select[*tuple[Any, ...]]:
    return select(
        Account.id.label("account_id"), Account.org_path, Account.school_id, null().label("phone")
    ).where(Account.org_id == org_id, Account.kind == kind, Account.status == "active")
