"""Routes to launch, list and void roll calls, send reminders and read results."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import (
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    parse_id,
)
from backend.core.web.client import ClientDep
from backend.core.web.problems import problem_responses
from backend.core.web.requests import Caller
from backend.identity.names import with_names
from backend.identity.passkeys.confirmation import confirm_act
from backend.org.paths import division_of
from backend.org.queries import get_unit_in_subtree
from backend.org.terms import get_term
from backend.people.queries import matches_search
from backend.policy.installed import policy_at
from backend.roll_call import reason_texts, results, staff_queries, voiding
from backend.roll_call.access import access_roll_call
from backend.roll_call.check_in.history import Attempt, load_attempt_history
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
from backend.roll_call.reason_texts import explain_refusal
from backend.roll_call.reminders import send_reminder
from backend.roll_call.rules import RollCallKind
from backend.roll_call.staff_schemas import (
    AttemptOut,
    AttemptReasonOut,
    AttemptRefusalOut,
    MissingStudentOut,
    OverdueOut,
    ReminderIn,
    ReminderSentOut,
    ResultOut,
    StaffRollCallOut,
    StudentAttemptsOut,
    VoidIn,
)
from backend.roll_call.tables import Refusal, RollCall, RollCallStep
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, UnitFilter, build_page, cursor_id
from backend.standing.student_view.counting import MissCounting, judge_miss, load_positions

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


@router.get("/roll-calls/{roll_call_id}/missing", responses=problem_responses(401, 403, 404, 422))
async def list_missing_students(
    caller: StaffCaller,
    roll_call_id: UUID,
    class_id: UUID | None = None,
    unit_id: UnitFilter = None,
    q: SearchText = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MissingStudentOut]:
    """尚未通过者名单，含最近一次失败原因；q 为姓名的一部分或完整号码 · Missing students, with the latest reason; q is a part of a name or a whole number."""
    after: results.MissingPosition | None = None
    if cursor is not None:
        school, class_name, student = decode_cursor(cursor, 3)
        after = (parse_id(school), class_name, parse_id(student))
    async with caller.transaction() as session:
        path = await _find_path(session, caller, unit_id)
        search = results.MissingSearch(class_id, _matching(caller, q), path)
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        rows = await results.load_missing_page(session, caller.actor, roll_call, search, after, limit + 1)
    page = rows[:limit]
    last = page[-1] if len(rows) > limit else None
    next_cursor = encode_cursor(*map(str, last.position)) if last else None
    return Page(items=[_to_missing_out(row) for row in page], next_cursor=next_cursor)


async def _find_path(session: AsyncSession, caller: Caller, unit_id: UUID | None) -> str | None:
    """The path of the unit to which a list is limited; None without a filter."""
    return None if unit_id is None else (await get_unit_in_subtree(session, caller.actor, unit_id)).path


def _matching(caller: Caller, text: str | None) -> ColumnElement[bool] | None:
    return None if text is None else matches_search(text, caller.app_context.keys)


def _to_missing_out(row: results.MissingStudent) -> MissingStudentOut:
    words = results.explain_last_attempt(row)
    return MissingStudentOut(
        student_id=row.student_id,
        name=row.name,
        class_id=row.class_id,
        class_name=row.class_name,
        phone=row.phone,
        submissions=row.submissions,
        last_reasons=list(row.last_reasons),
        last_refusal=row.last_refusal,
        last_reason_zh=words.zh if words else None,
        last_reason_en=words.en if words else None,
        sent_to_a_person=row.sent_to_a_person,
        outcome=row.outcome,
    )


Outcome = Annotated[Literal["present", "missed", "excused", "undetermined"] | None, Query()]


@router.get("/roll-calls/{roll_call_id}/results", responses=problem_responses(401, 403, 404, 422))
async def list_results(
    caller: StaffCaller,
    roll_call_id: UUID,
    outcome: Outcome = None,
    class_id: UUID | None = None,
    school_id: UUID | None = None,
    unit_id: UnitFilter = None,
    q: SearchText = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[ResultOut]:
    """核验结果 · All students of the audience with the current outcome."""
    async with caller.transaction() as session:
        path = await _find_path(session, caller, unit_id)
        filters = results.ResultFilter(outcome, class_id, school_id, _matching(caller, q), path)
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        rows = await results.load_results_page(
            session, caller.actor, roll_call, filters, cursor_id(cursor), limit + 1
        )
        positions = await load_positions(session, [row.student.id for row in rows])
        voided = await session.get(RollCallStep, (roll_call_id, "voided")) is not None

    def count_miss(row: results.Result) -> MissCounting | None:
        outcome = row.outcome.outcome if row.outcome else None
        return judge_miss(positions, row.student.id, roll_call.id, roll_call.kind, outcome, voided=voided)

    return build_page(
        rows, limit, lambda row: _to_result_out(row, count_miss(row)), lambda row: row.student.id
    )


def _to_result_out(row: results.Result, counting: MissCounting | None) -> ResultOut:
    entry = row.outcome
    words = counting.words if counting else None
    texts = reason_texts.closed_reason(entry.reason) if entry else None
    return ResultOut(
        student_id=row.student.id,
        name=row.student.name,
        class_name=row.school_class.name,
        duty=row.obligation.duty,
        duty_reason=row.obligation.reason,
        outcome=entry.outcome if entry else None,
        reason=entry.reason if entry else None,
        reason_zh=texts.zh if texts else None,
        reason_en=texts.en if texts else None,
        counts_as_miss=counting.why is None if counting else None,
        not_counted_reason=counting.why if counting else None,
        not_counted_zh=words.zh if words else None,
        not_counted_en=words.en if words else None,
        method=entry.method if entry else None,
        seq=entry.seq if entry else None,
        decided_at=entry.at if entry else None,
    )


@router.get(
    "/roll-calls/{roll_call_id}/results/{student_id}/attempts",
    responses=problem_responses(401, 403, 404, 422),
)
async def list_student_attempts(
    caller: StaffCaller, roll_call_id: UUID, student_id: UUID
) -> StudentAttemptsOut:
    """某学生在本次核验中的全部提交及判定依据 · A student's submissions with their verdicts and reasons."""
    async with caller.transaction() as session:
        history = await load_attempt_history(session, caller.actor, roll_call_id, student_id, caller.at)
    return StudentAttemptsOut(
        attempts=[_to_attempt_out(each, traced=history.traced) for each in history.attempts],
        refusals=[_to_refusal_out(each) for each in history.refusals],
    )


def _to_refusal_out(refusal: Refusal) -> AttemptRefusalOut:
    words = explain_refusal(refusal.code, refusal.detail)
    return AttemptRefusalOut(at=refusal.at, step=refusal.step, code=refusal.code, zh=words.zh, en=words.en)


def _to_attempt_out(attempt: Attempt, *, traced: bool) -> AttemptOut:
    verdict = attempt.verdict
    reasons = [reason_texts.reason(code) for code in verdict.reasons] if verdict else []
    return AttemptOut(
        submission_id=attempt.submission.id,
        received_at=attempt.submission.received_at,
        in_cool_down=attempt.submission.in_cool_down,
        actions=attempt.challenge.actions,
        cannot=attempt.challenge.cannot,
        finding=verdict.finding if verdict else None,
        reasons=[AttemptReasonOut(code=each.code, zh=each.zh, en=each.en) for each in reasons],
        engine=verdict.engine if verdict else None,
        trace=verdict.trace if verdict and traced else None,
    )


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
