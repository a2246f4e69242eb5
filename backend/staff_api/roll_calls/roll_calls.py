"""Routes to launch, list and void roll calls, and to send reminders."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.clock import legal_day
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.client import ClientDep
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.identity.passkeys.confirmation import confirm_act
from backend.org.paths import division_of
from backend.org.terms import get_term
from backend.policy.installed import policy_at
from backend.roll_call import staff_queries, voiding
from backend.roll_call.access import access_roll_call
from backend.roll_call.launch import service as launch_service
from backend.roll_call.launch.options import load_launch_options
from backend.roll_call.launch.preview import preview_launch
from backend.roll_call.launch.schemas import (
    ConfirmedLaunchIn,
    LaunchedOut,
    LaunchIn,
    LaunchOptionOut,
    LaunchPreviewOut,
)
from backend.roll_call.progress.changes import publish_changed
from backend.roll_call.reminders import send_reminder
from backend.roll_call.rules import RollCallKind
from backend.roll_call.staff_schemas import (
    OverdueOut,
    ReminderIn,
    ReminderSentOut,
    StaffRollCallOut,
    VoidIn,
)
from backend.roll_call.tables import RollCall, RollCallStep
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText

router = APIRouter(prefix="/v1", tags=["点名核验 · roll calls"])


@router.get("/launch-options", responses=problem_responses(401, 422))
async def list_launch_options(caller: StaffCaller) -> list[LaunchOptionOut]:
    """可以发起的种类及时段长短 · The kinds that the caller may launch, with the bounds of the window."""
    async with caller.transaction() as session:
        options = await load_launch_options(session, caller.actor, caller.at)
    return [LaunchOptionOut.of(each) for each in options]


@router.post("/roll-calls/preview", responses=problem_responses(401, 403, 404, 422))
async def preview_roll_call(caller: StaffCaller, body: LaunchIn) -> LaunchPreviewOut:
    """预览发起：问题、各校人数、无办学地址学校；不写入任何内容 · What a launch of this body would do; nothing is written."""
    async with caller.app_context.database.transaction(caller.actor.scope) as session:
        return LaunchPreviewOut.of(await preview_launch(session, caller.actor, body.to_command(), caller.at))


@router.post("/roll-calls", status_code=201, responses=problem_responses(401, 403, 404, 409, 422, 429))
async def launch_roll_call(caller: StaffCaller, body: ConfirmedLaunchIn, client: ClientDep) -> LaunchedOut:
    """发起点名核验；名单、办学地址、政策版本即时冻结 · Launch; audience, sites and policy are frozen immediately."""
    app_context, confirmation = caller.app_context, None
    if body.confirmation is not None:
        factor = body.confirmation.to_factor()
        confirmation = await confirm_act(app_context, caller.actor, factor, client)
    command = body.to_command(confirmed=confirmation is not None)
    async with caller.transaction() as session:
        if confirmation is not None:
            await confirmation.factor.consume(session, caller.at)
        launched = await launch_service.launch_roll_call(session, caller.actor, command, caller.at)
    if confirmation is not None:
        await confirmation.complete(app_context)
    return LaunchedOut.of(launched)


def _to_roll_call_out(roll_call: RollCall, steps: dict[str, RollCallStep], at: datetime) -> StaffRollCallOut:
    settled, voided = steps.get("settled"), steps.get("voided")
    return StaffRollCallOut(
        id=roll_call.id,
        kind=roll_call.kind,
        title=roll_call.title,
        launcher_id=roll_call.launcher_id,
        phase=staff_queries.roll_call_phase(roll_call, steps, at),
        term_code=roll_call.term_code,
        notify_at=roll_call.notify_at,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        extended_from=roll_call.closes_at if roll_call.extended_until else None,
        policy_version=roll_call.policy_version,
        seed=roll_call.seed,
        figures=settled.figures if settled else None,
        void_reason=voided.reason if voided else None,
        server_time=at,
    )


@router.get("/roll-calls", responses=problem_responses(401, 403, 422))
@with_names
async def list_roll_calls(
    caller: StaffCaller,
    kind: RollCallKind | None = None,
    launcher_id: Annotated[UUID | None, Query(description="发起单位 · the launching unit")] = None,
    q: SearchText = None,
    sort: staff_queries.RollCallSort = "-opens_at",
    limit: Limit = 20,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[StaffRollCallOut]:
    """可见的点名核验（新的在前） · Roll calls that the caller may see, found by part of the title; newest first."""
    at = caller.at
    search = staff_queries.RollCallSearch(q, kind, launcher_id)
    async with caller.transaction() as session:
        page = await staff_queries.load_roll_calls_page(
            session, caller.actor, search, at, PageRequest(limit, cursor, sort, total)
        )
        steps = await staff_queries.load_steps(session, [row.id for row in page.rows])
    return page.render_counted(lambda row: _to_roll_call_out(row, steps[row.id], at))


@router.get("/roll-calls/{roll_call_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_roll_call(caller: StaffCaller, roll_call_id: UUID) -> StaffRollCallOut:
    """一次点名核验 · One roll call."""
    at = caller.at
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, at)
        steps = await staff_queries.load_steps(session, [roll_call_id])
    return _to_roll_call_out(roll_call, steps[roll_call_id], at)


@router.post(
    "/roll-calls/{roll_call_id}/voiding",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def void_roll_call(caller: StaffCaller, roll_call_id: UUID, body: VoidIn) -> StaffRollCallOut:
    """作废（须说明理由）；已通过者不变，其余免于核验 · Void with a reason; present students stay present, all others are excused."""
    at = caller.at
    async with caller.transaction() as session:
        roll_call = await voiding.void_roll_call(session, caller.actor, roll_call_id, body.reason, at)
        steps = await staff_queries.load_steps(session, [roll_call_id])
    await publish_changed(caller.app_context.redis, roll_call_id)
    return _to_roll_call_out(roll_call, steps[roll_call_id], at)


@router.post(
    "/roll-calls/{roll_call_id}/urges",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
async def remind_students(caller: StaffCaller, roll_call_id: UUID, body: ReminderIn) -> ReminderSentOut:
    """督促尚未完成的学生（截止前） · Remind the students who are not present yet, until the close."""
    async with caller.transaction() as session:
        reminder = await send_reminder(session, caller.actor, roll_call_id, body.class_id, caller.at)
    return ReminderSentOut(students=reminder.students)


@router.get("/registration-checks/overdue", responses=problem_responses(401, 403, 404, 409, 422))
async def list_overdue_registration_checks(caller: StaffCaller) -> list[OverdueOut]:
    """本学期尚未完成注册核验的学校 · Schools that have not completed this term's registration check (HN334-4.1a)."""
    day = legal_day(caller.at)
    minimum = policy_at(day, division_of(caller.actor.org_path)).integer(
        "registration_check.minimum_per_term"
    )
    async with caller.transaction() as session:
        term = await get_term(session, caller.actor.org_id, day)
        schools = await staff_queries.load_schools_without_registration_check(
            session, caller.actor.org_path, term.code, minimum
        )
    return [OverdueOut(school_id=school.id, code=school.code, name=school.name) for school in schools]
