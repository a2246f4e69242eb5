"""The student's own aid: what I get and when, what was withdrawn and why; and applying for it."""

from fastapi import APIRouter
from pydantic import Field

from backend.aid.applications import apply_for_aid
from backend.aid.queries import application_of, student_aid
from backend.aid.rules import AidKind
from backend.aid.schemas import KIND, AidApplicationOut, MyAidOut
from backend.core.web.problems import documented
from backend.core.web.schema_types import Schema
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["资助 · aid"])


class AidApplicationIn(Schema):
    """Which aid to apply for, in the running term."""

    kind: AidKind = Field(description=KIND, examples=["grant"])


@router.get("/me/aid", responses=documented(401, 403, 404, 409, 422))
async def get_aid(caller: PhoneCaller) -> MyAidOut:
    """我的资助：申请、各月金额、发放、撤回及原因 · What I get and when, what was withdrawn and why."""
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        aid = await student_aid(session, caller.actor, caller.actor.student_id, caller.at)
    return MyAidOut.of(aid)


@router.post("/me/aid-applications", status_code=201, responses=documented(401, 403, 409, 422))
async def post_application(caller: PhoneCaller, body: AidApplicationIn) -> AidApplicationOut:
    """申请资助（每学期每项一次） · Apply for aid of the running term, once for each kind."""
    async with caller.transaction() as session:
        filed = await apply_for_aid(session, caller.actor, body.kind, caller.app_context.keys, caller.at)
        application = await application_of(session, filed.id)
    return AidApplicationOut.of(application)
