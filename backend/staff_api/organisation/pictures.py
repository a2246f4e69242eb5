"""Staff endpoints about pictures of students: portraits in review, replaced faces, pictures sent twice, and who looked at pictures."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.face.review.portraits import (
    DecidePortrait,
    PortraitSearch,
    PortraitSort,
    PortraitState,
    decide_portrait,
    load_portraits_page,
    read_portrait,
)
from backend.identity.face.review.replacements import (
    AnswerReplacement,
    ReplacementState,
    answer_replacement,
    load_replacements_page,
    read_replacement_picture,
)
from backend.identity.face.review.shared_picture_reports import load_shared_pictures_page
from backend.identity.face.schemas import (
    PortraitDecisionIn,
    PortraitOut,
    ReplacementIn,
    ReplacementOut,
    SharedPictureOut,
    portrait_out,
    replacement_out,
    shared_picture_out,
)
from backend.identity.names import with_names
from backend.identity.pictures.responses import picture_body, picture_response
from backend.identity.pictures.schemas import PictureViewOut, picture_view_out
from backend.identity.pictures.views import load_picture_views
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter, build_page, cursor_id
from backend.staff_api.student_search import StudentSearchText, student_condition

router = APIRouter(prefix="/v1", tags=["照片 · pictures"])

SchoolFilter = Annotated[UUID | None, Query(description="只列某校 · only of this school")]
StudentFilter = Annotated[UUID | None, Query(description="只列某名学生 · only of this student")]


@router.get("/shared-pictures", responses=problem_responses(401, 403, 422))
async def list_shared_pictures(
    caller: StaffCaller, school_id: SchoolFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[SharedPictureOut]:
    """照片重复（新的在前） · List pictures that were sent for two students, newest first."""
    async with caller.transaction() as session:
        rows = await load_shared_pictures_page(session, caller.actor, school_id, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, shared_picture_out, lambda row: row.finding.id)


@router.get("/portraits", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_portraits(
    caller: StaffCaller,
    state: PortraitState = "review",
    school_id: SchoolFilter = None,
    student_id: StudentFilter = None,
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    sort: PortraitSort = "-submitted_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[PortraitOut]:
    """学籍证件照（默认待审核，新的在前） · List portraits, by default those in review, newest first."""
    search = PortraitSearch(state, school_id, student_id, unit_id, student_condition(caller, q))
    async with caller.transaction() as session:
        page = await load_portraits_page(
            session, caller.actor, search, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(portrait_out)


@router.get(
    "/portraits/{portrait_id}/picture",
    response_class=Response,
    responses=problem_responses(401, 403, 404, 410, 422) | picture_body(),
)
async def get_portrait_picture(caller: StaffCaller, portrait_id: UUID) -> Response:
    """查看证件照（留痕） · Get the picture of a portrait; the look is recorded."""
    return picture_response(await read_portrait(caller.app_context, caller.actor, portrait_id, caller.at))


@router.post(
    "/portraits/{portrait_id}/decision",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def review_portrait(caller: StaffCaller, portrait_id: UUID, body: PortraitDecisionIn) -> PortraitOut:
    """审核证件照（学校管理员） · Accept or refuse a portrait in review, as the registrar."""
    command = DecidePortrait(portrait_id, body.accepted, body.reasons)
    async with caller.transaction() as session:
        row = await decide_portrait(session, caller.actor, command, caller.at)
    return portrait_out(row)


@router.get("/face-replacements", responses=problem_responses(401, 422))
@with_names
async def list_face_replacements(
    caller: StaffCaller, state: ReplacementState = "open", limit: Limit = 50, cursor: Cursor = None
) -> Page[ReplacementOut]:
    """人脸更换（默认待审核，新的在前） · List replacements of enrolled faces; a counselor sees their own classes."""
    async with caller.transaction() as session:
        rows = await load_replacements_page(session, caller.actor, state, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, replacement_out, lambda row: row.enrolment.id)


@router.get(
    "/face-replacements/{enrolment_id}/pictures/{position}",
    response_class=Response,
    responses=problem_responses(401, 404, 410, 422) | picture_body(),
)
async def get_replacement_picture(
    caller: StaffCaller, enrolment_id: UUID, position: Annotated[int, Path(ge=0, le=100)]
) -> Response:
    """查看新照片（留痕） · Get one of the new pictures; the look is recorded."""
    return picture_response(
        await read_replacement_picture(caller.app_context, caller.actor, enrolment_id, position, caller.at)
    )


@router.post(
    "/face-replacements/{enrolment_id}/answers",
    status_code=201,
    responses=problem_responses(401, 404, 409, 422),
)
@with_names
async def answer_face_replacement(
    caller: StaffCaller, enrolment_id: UUID, body: ReplacementIn
) -> ReplacementOut:
    """审核人脸更换（学校一人、上级一人） · Answer a replacement: one person of the school, one of its superior."""
    command = AnswerReplacement(enrolment_id, body.approved, body.seen_in_person, body.reasons)
    async with caller.transaction() as session:
        row = await answer_replacement(session, caller.actor, command, caller.at)
    return replacement_out(row)


@router.get("/students/{student_id}/picture-views", responses=problem_responses(401, 403, 404, 422))
async def list_picture_views(
    caller: StaffCaller, student_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Page[PictureViewOut]:
    """学生照片查看记录（新的在前） · List who looked at the pictures of a student, newest first."""
    async with caller.transaction() as session:
        rows = await load_picture_views(session, caller.actor, student_id, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, picture_view_out, lambda row: row.view.id)
