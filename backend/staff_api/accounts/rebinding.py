"""Staff endpoints about changes of phone: codes given in person, objections of old phones, acts during the cool-down."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.devices.binding_codes import IssueBindingCode, issue_binding_code
from backend.identity.devices.cool_down import load_cool_down_acts
from backend.identity.devices.objections import DecideObjection, decide_objection, load_objections
from backend.identity.devices.schemas import (
    BindingCodeIn,
    BindingCodeOut,
    CoolDownActOut,
    ObjectionDecisionIn,
    StaffObjectionOut,
    staff_objection_out,
)
from backend.identity.policy import province_policy
from backend.people.queries import load_student
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1", tags=["换绑 · change of phone"])


@router.post(
    "/students/{student_id}/binding-codes",
    status_code=201,
    responses=problem_responses(401, 403, 404, 422),
)
async def issue_student_binding_code(
    student_id: UUID, body: BindingCodeIn, caller: StaffCaller
) -> BindingCodeOut:
    """发放当面绑定码 · Give a code to a student whose identity was checked in person; shown once."""
    lifetime = province_policy(caller.app_context, caller.at).duration("identity.binding_code.lifetime")
    command = IssueBindingCode(student_id, body.identity_check, lifetime)
    async with caller.transaction() as session:
        issued = await issue_binding_code(session, caller.actor, caller.app_context.keys, command, caller.at)
    return BindingCodeOut(code=issued.code, expires_at=issued.expires_at)


@router.get("/rebinding-objections", responses=problem_responses(401, 422))
async def list_rebinding_objections(
    caller: StaffCaller, cursor: Cursor = None, limit: Limit = 50
) -> Page[StaffObjectionOut]:
    """换绑异议（新的在前） · List objections to new phones, newest first; a counselor's own classes only."""
    async with caller.transaction() as session:
        views = await load_objections(session, caller.actor, cursor_id(cursor), limit + 1)
    return build_page(views, limit, staff_objection_out, lambda view: view.objection.id)


@router.post(
    "/rebinding-objections/{objection_id}/decision", responses=problem_responses(401, 403, 404, 409, 422)
)
async def decide_rebinding_objection(
    objection_id: UUID, body: ObjectionDecisionIn, caller: StaffCaller
) -> StaffObjectionOut:
    """处理换绑异议 · Decide an objection after seeing the student in person; upheld, the new phone is revoked."""
    command = DecideObjection(objection_id, body.outcome, body.reason)
    async with caller.transaction() as session:
        view = await decide_objection(session, caller.actor, command, caller.at)
    return staff_objection_out(view)


@router.get("/students/{student_id}/cool-down-acts", responses=problem_responses(401, 404, 422))
async def list_cool_down_acts(student_id: UUID, caller: StaffCaller) -> list[CoolDownActOut]:
    """冷静期内的办理事项 · List what a student did on a new phone during its cool-down, newest first."""
    async with caller.transaction() as session:
        await load_student(session, caller.actor, caller.app_context.keys, student_id)
        acts = await load_cool_down_acts(session, student_id)
    return [CoolDownActOut(kind=act.kind, subject_id=act.subject_id, at=act.at) for act in acts]
