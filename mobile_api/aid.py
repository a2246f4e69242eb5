"""Endpoints of the student's own aid: applications, amounts, payments and withdrawals."""

from fastapi import APIRouter

from backend.aid.application_schemas import AidApplicationIn, AidApplicationOut
from backend.aid.applications import apply_for_aid
from backend.aid.queries import get_application, get_student_aid
from backend.aid.schemas import MyAidOut
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["资助 · aid"])


@router.get("/me/aid", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def get_aid(caller: PhoneCaller) -> MyAidOut:
    """我的资助：申请、各月金额、发放、撤回及原因 · The student's own applications, amounts, payments and withdrawals."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        aid = await get_student_aid(session, caller.actor, caller.actor.student_id, caller.at)
    return MyAidOut.from_aid(aid)


@router.post("/me/aid-applications", status_code=201, responses=problem_responses(401, 403, 409, 422))
@with_names
async def submit_aid_application(caller: PhoneCaller, body: AidApplicationIn) -> AidApplicationOut:
    """申请资助（每学期每项一次） · Apply for aid of the current term, once for each kind."""
    async with caller.transaction() as session:
        filed = await apply_for_aid(session, caller.actor, body.kind, caller.app_context.keys, caller.at)
        application = await get_application(session, filed.id)
    return AidApplicationOut.from_view(application)
