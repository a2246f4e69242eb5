"""Staff endpoints for rows of rosters whose ID number is on another school's roll (MOE19-2.4, reading 23)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.standing.transfers.queries import (
    QuarantineSearch,
    QuarantineSort,
    load_quarantine_page,
    load_quarantined,
)
from backend.standing.transfers.rules import QuarantineState
from backend.standing.transfers.schemas import QuarantineDecisionIn, QuarantinedEnrolmentOut
from backend.standing.transfers.service import DecideQuarantine, decide_quarantine

router = APIRouter(prefix="/v1", tags=["重复学籍 · quarantined enrolments"])

StateFilter = Annotated[QuarantineState | None, Query(description="只列某状态 · only in this state")]
SchoolFilter = Annotated[
    UUID | None, Query(description="只列涉及某校的 · only those that this school imported or holds")
]


@router.get("/quarantined-enrolments", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_quarantined_enrolments(
    caller: StaffCaller,
    state: StateFilter = None,
    school_id: SchoolFilter = None,
    unit_id: UnitFilter = None,
    sort: QuarantineSort = "-imported_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[QuarantinedEnrolmentOut]:
    """重复学籍待核（新的在前） · List rows that are not enrolled until the authority above both schools decides."""
    search = QuarantineSearch(state, school_id, unit_id)
    async with caller.transaction() as session:
        page = await load_quarantine_page(
            session, caller.actor, search, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(QuarantinedEnrolmentOut.of)


@router.get("/quarantined-enrolments/{quarantine_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_quarantined_enrolment(quarantine_id: UUID, caller: StaffCaller) -> QuarantinedEnrolmentOut:
    """一条重复学籍待核 · Get one quarantined row."""
    async with caller.transaction() as session:
        view = await load_quarantined(session, caller.actor, quarantine_id)
    return QuarantinedEnrolmentOut.of(view)


@router.post(
    "/quarantined-enrolments/{quarantine_id}/decision", responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def decide_quarantined_enrolment(
    quarantine_id: UUID, body: QuarantineDecisionIn, caller: StaffCaller
) -> QuarantinedEnrolmentOut:
    """核定重复学籍 · Decide on a quarantined row as the authority above both schools, or withdraw it as its school."""
    command = DecideQuarantine(quarantine_id, body.outcome, body.reasons)
    async with caller.transaction() as session:
        view = await decide_quarantine(session, caller.actor, command, caller.at)
    return QuarantinedEnrolmentOut.of(view)
