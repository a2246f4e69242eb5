"""Staff endpoints of rehearsal readiness: cohorts with their deadline, the schools of one, and reminders."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.core.clock import legal_day
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.bulk_schemas import BulkOut
from backend.core.web.problems import problem_responses
from backend.org.paths import division_of
from backend.policy.installed import policy_at
from backend.roll_call.readiness.cohorts import choose_cohort, read_cohorts
from backend.roll_call.readiness.queries import ReadinessFilter, count_schools, load_readiness_page
from backend.roll_call.readiness.reminders import RemindSchools, remind_schools
from backend.roll_call.readiness.schemas import (
    CohortCode,
    RehearsalCohortOut,
    RehearsalReadinessOut,
    RehearsalRemindersIn,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, UnitFilter, build_page, cursor_key

router = APIRouter(prefix="/v1", tags=["联调测试 · rehearsals"])

CohortFilter = Annotated[CohortCode, Query(description="批次代码 · code of the cohort")]
Lagging = Annotated[bool, Query(description="只列尚未完成的学校 · only schools without a rehearsal")]


@router.get("/rehearsal-cohorts", responses=problem_responses(401, 403, 422))
async def list_rehearsal_cohorts(caller: StaffCaller) -> list[RehearsalCohortOut]:
    """各批次的截止日和完成学校数 · The cohorts with their deadline, and how many schools have completed a rehearsal."""
    today = legal_day(caller.at)
    cohorts = read_cohorts(policy_at(today, division_of(caller.actor.org_path)))
    async with caller.transaction() as session:
        totals = await count_schools(session, caller.actor, cohorts)
    return [RehearsalCohortOut.of(each, total, today) for each, total in zip(cohorts, totals, strict=True)]


@router.get("/rehearsal-readiness", responses=problem_responses(400, 401, 403, 404, 422))
async def list_rehearsal_readiness(
    caller: StaffCaller,
    cohort: CohortFilter,
    lagging: Lagging = False,  # noqa: FBT002 - a query parameter
    q: SearchText = None,
    unit_id: UnitFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RehearsalReadinessOut]:
    """一个批次各校的联调测试 · The schools of a cohort: whether they have completed a rehearsal, and when they were reminded."""
    cohorts = read_cohorts(policy_at(legal_day(caller.at), division_of(caller.actor.org_path)))
    chosen = choose_cohort(cohorts, cohort)
    wanted = ReadinessFilter(lagging, q, unit_id)
    after = cursor_key(cursor)
    async with caller.transaction() as session:
        rows = await load_readiness_page(session, caller.actor, chosen, cohorts, wanted, after, limit + 1)
    return build_page(rows, limit, RehearsalReadinessOut.of, lambda row: row.path)


@router.post("/rehearsal-reminders", responses=problem_responses(400, 401, 403, 422))
async def remind_lagging_schools(caller: StaffCaller, body: RehearsalRemindersIn) -> BulkOut:
    """督促学校完成联调测试（一行一校） · Remind the registrars of these schools; a row is a school."""
    command = RemindSchools(body.cohort, body.school_ids)
    async with caller.transaction() as session:
        results = await remind_schools(session, caller.actor, command, caller.at)
    return BulkOut.of(results)
