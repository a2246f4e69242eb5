"""Staff endpoints for looks: pictures of check-ins that a person compares with the ID portrait."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from backend.core.errors import DomainError
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.identity.pictures.responses import picture_body, picture_response
from backend.roll_call.access import access_roll_call
from backend.roll_call.looks.answers import AnswerLook, answer_look
from backend.roll_call.looks.pictures import PORTRAIT, read_look_picture
from backend.roll_call.looks.queries import LookFilter, LookSort, count_looks, load_look, load_looks_page
from backend.roll_call.looks.rules import Same
from backend.roll_call.looks.schemas import LookAnsweredOut, LookAnswerIn, LookCountsOut, LookOut
from backend.roll_call.progress.changes import publish_changed
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["人工核验 · checks by people"])

Picture = Annotated[
    str,
    Path(pattern=f"^([0-9]{{1,3}}|{PORTRAIT})$", description="图片序号或 portrait · a position, or portrait"),
]


@router.get("/looks", responses=problem_responses(401, 403, 422))
@with_names
async def list_looks(
    caller: StaffCaller,
    roll_call_id: UUID | None = None,
    class_id: UUID | None = None,
    student_id: UUID | None = None,
    sort: LookSort = "expires_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[LookOut]:
    """待您核对的照片（先到期的在前） · List the open looks that you may answer, soonest expiry first."""
    wanted = LookFilter(roll_call_id, class_id, student_id)
    request = PageRequest(limit, cursor, sort, total)
    async with caller.transaction() as session:
        page = await load_looks_page(session, caller.actor, wanted, caller.at, request)
    return page.render_counted(LookOut.of)


@router.get("/looks/{look_id}", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def get_look(caller: StaffCaller, look_id: UUID) -> LookOut:
    """一条待您核对的照片 · Get an open look that you may answer."""
    async with caller.transaction() as session:
        look = await load_look(session, caller.actor, look_id, caller.at)
    return LookOut.of(look)


@router.get(
    "/looks/{look_id}/pictures/{picture}",
    response_class=Response,
    responses=problem_responses(401, 403, 404, 409, 410, 422) | picture_body(),
)
async def get_look_picture(caller: StaffCaller, look_id: UUID, picture: Picture) -> Response:
    """查看核验照片或证件照（留痕） · Get a picture of a look, or the ID portrait; each view is recorded."""
    which = None if picture == PORTRAIT else int(picture)
    return picture_response(
        await read_look_picture(caller.app_context, caller.actor, look_id, which, caller.at)
    )


@router.post("/looks/{look_id}/answer", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def answer_look_request(caller: StaffCaller, look_id: UUID, body: LookAnswerIn) -> LookAnsweredOut:
    """答复是否同一人（一次） · Answer whether the pictures show the same person; once."""
    command = AnswerLook(look_id, Same(body.same), body.note)
    async with caller.transaction() as session:
        row = await answer_look(session, caller.actor, command, caller.at, caller.app_context.keys)
    if isinstance(row, DomainError):  # the launching side's request is committed
        raise row
    await publish_changed(caller.app_context.redis, row.roll_call_id)
    return LookAnsweredOut(id=row.request_id, student_id=row.student_id, same=row.same, at=row.at)


@router.get("/roll-calls/{roll_call_id}/looks", responses=problem_responses(401, 403, 404, 422))
async def get_look_counts(caller: StaffCaller, roll_call_id: UUID) -> LookCountsOut:
    """本次核验的照片核对数量 · Count the looks of a roll call, within your scope."""
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        counts = await count_looks(session, caller.actor, roll_call)
    return LookCountsOut.model_validate(counts)
