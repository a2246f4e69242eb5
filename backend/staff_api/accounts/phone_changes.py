"""Staff endpoints for phone numbers of students who have bound a phone: propose, list, decide."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.identity.phone_changes import service as phone_change_service
from backend.identity.phone_changes.queries import (
    PhoneChangeSearch,
    load_phone_change,
    load_phone_changes_page,
)
from backend.identity.phone_changes.rules import PhoneChangeState
from backend.identity.phone_changes.schemas import PhoneChangeDecisionIn, PhoneChangeIn, PhoneChangeOut
from backend.identity.phone_changes.service import (
    DecidePhoneChange,
    ProposeNumber,
    propose_number,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1", tags=["联系电话变更 · phone changes"])

StateFilter = Annotated[PhoneChangeState | None, Query(description="只列某状态 · only in this state")]
SchoolFilter = Annotated[UUID | None, Query(description="只列某校 · only of this school")]


@router.get("/phone-changes", responses=problem_responses(401, 403, 422))
@with_names
async def list_phone_changes(
    caller: StaffCaller,
    state: StateFilter = None,
    school_id: SchoolFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PhoneChangeOut]:
    """联系电话变更（新的在前） · List the numbers that schools proposed, newest first."""
    search = PhoneChangeSearch(state, school_id)
    async with caller.transaction() as session:
        rows = await load_phone_changes_page(session, caller.actor, search, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, PhoneChangeOut.of, lambda view: view.change.id)


@router.post("/phone-changes", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def request_phone_change(body: PhoneChangeIn, caller: StaffCaller) -> PhoneChangeOut:
    """提出联系电话变更 · Propose a number for a student who has bound a phone.

    It takes effect when the student confirms it on the bound phone or a superior of the school approves it.
    """
    command = ProposeNumber(body.student_id, body.phone, body.reasons)
    async with caller.transaction() as session:
        change = await propose_number(session, caller.actor, command, caller.at)
        view = await load_phone_change(session, change.id)
    return PhoneChangeOut.of(view)


@router.post("/phone-changes/{change_id}/decision", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def decide_phone_change(
    change_id: UUID, body: PhoneChangeDecisionIn, caller: StaffCaller
) -> PhoneChangeOut:
    """处理联系电话变更 · Approve or refuse a number as a superior of the school, or withdraw it as the school."""
    command = DecidePhoneChange(change_id, body.outcome, body.reasons)
    async with caller.transaction() as session:
        await phone_change_service.decide_phone_change(session, caller.actor, command, caller.at)
        view = await load_phone_change(session, change_id)
    return PhoneChangeOut.of(view)
