"""Launching, watching and ending roll calls."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.clock import legal_day
from backend.core.pagination import (
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    instant_position,
    parse_id,
)
from backend.core.web.problems import documented
from backend.org.paths import division_of
from backend.org.terms import term_of
from backend.policy.installed import policy_at
from backend.roll_call import queries, reason_texts, results
from backend.roll_call.check_in.history import Attempt, attempts_of
from backend.roll_call.launch.audience import Audience, Sample
from backend.roll_call.launch.service import LaunchRollCall, launch_roll_call
from backend.roll_call.oversight import access_roll_call, send_reminder, void_roll_call
from backend.roll_call.staff_schemas import (
    AttemptOut,
    AttemptsOut,
    AudienceIn,
    LaunchedOut,
    LaunchIn,
    MissingOut,
    OverdueOut,
    ReasonOut,
    RefusalOut,
    ResultOut,
    RollCallOut,
    UrgedOut,
    UrgeIn,
    VoidIn,
)
from backend.roll_call.tables import RollCall, RollCallStep
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id

router = APIRouter(prefix="/v1", tags=["点名核验 · roll calls"])


def _audience(wire: AudienceIn) -> Audience:
    return Audience(
        unit_ids=tuple(wire.unit_ids),
        class_ids=tuple(wire.class_ids),
        grades=tuple(wire.grades),
        majors=tuple(wire.majors),
        programmes=tuple(wire.programmes),
        sample=Sample(wire.sample.size, wire.sample.share) if wire.sample else None,
    )


@router.post("/roll-calls", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_roll_call(caller: StaffCaller, body: LaunchIn) -> LaunchedOut:
    """发起点名核验；名单、办学地址、政策版本即时冻结 · Launch; audience, sites and policy are frozen at once."""
    command = LaunchRollCall(
        kind=body.kind,
        title=body.title,
        opens_at=body.opens_at,
        closes_at=body.closes_at,
        audience=_audience(body.audience),
        notify_at=body.notify_at,
        seed=body.seed,
    )
    async with caller.transaction() as session:
        launched = await launch_roll_call(session, caller.actor, command, caller.at)
    return LaunchedOut(
        id=launched.roll_call.id,
        owed=launched.owed,
        excused=launched.excused,
        exempt=launched.exempt,
        schools=launched.schools,
        schools_without_site=launched.schools_without_site,
        seed=launched.roll_call.seed,
    )


def _rendered(roll_call: RollCall, steps: dict[str, RollCallStep], at: datetime) -> RollCallOut:
    settled, voided = steps.get("settled"), steps.get("voided")
    return RollCallOut(
        id=roll_call.id,
        kind=roll_call.kind,
        title=roll_call.title,
        launcher_id=roll_call.launcher_id,
        phase=queries.phase(roll_call, steps, at),
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


@router.get("/roll-calls", responses=documented(401, 403, 422))
async def list_roll_calls(caller: StaffCaller, limit: Limit = 20, cursor: Cursor = None) -> Page[RollCallOut]:
    """可见的点名核验（新的在前） · Roll calls that the caller may see, newest first."""
    at = caller.at
    async with caller.transaction() as session:
        rows = await queries.roll_calls_page(session, caller.actor, at, instant_position(cursor), limit + 1)
        steps = await queries.steps_of(session, [row.id for row in rows])
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    following = encode_cursor(last.opens_at.isoformat(), str(last.id)) if last else None
    return Page(items=[_rendered(row, steps[row.id], at) for row in shown], next_cursor=following)


@router.get("/roll-calls/{roll_call_id}", responses=documented(401, 403, 404, 422))
async def get_roll_call(caller: StaffCaller, roll_call_id: UUID) -> RollCallOut:
    """一次点名核验 · One roll call."""
    at = caller.at
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, at)
        steps = await queries.steps_of(session, [roll_call_id])
    return _rendered(roll_call, steps[roll_call_id], at)


@router.post(
    "/roll-calls/{roll_call_id}/voiding", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_voiding(caller: StaffCaller, roll_call_id: UUID, body: VoidIn) -> RollCallOut:
    """作废（须说明理由）；已通过者不变，其余免于核验 · Void with a reason; those present stay so, others are excused."""
    at = caller.at
    async with caller.transaction() as session:
        roll_call = await void_roll_call(session, caller.actor, roll_call_id, body.reason, at)
        steps = await queries.steps_of(session, [roll_call_id])
    return _rendered(roll_call, steps[roll_call_id], at)


@router.post(
    "/roll-calls/{roll_call_id}/urges", status_code=201, responses=documented(401, 403, 404, 409, 422, 429)
)
async def post_urge(caller: StaffCaller, roll_call_id: UUID, body: UrgeIn) -> UrgedOut:
    """督促尚未完成的学生（截止前） · Remind those who have not yet proven presence, until the close."""
    async with caller.transaction() as session:
        urged = await send_reminder(session, caller.actor, roll_call_id, body.class_id, caller.at)
    return UrgedOut(students=urged.students)


@router.get("/roll-calls/{roll_call_id}/missing", responses=documented(401, 403, 404, 422))
async def list_missing(
    caller: StaffCaller,
    roll_call_id: UUID,
    class_id: UUID | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MissingOut]:
    """尚未通过者名单，含最近一次失败原因 · Who is missing, with the latest reason."""
    after: results.MissingAfter | None = None
    if cursor is not None:
        school, class_name, student = decode_cursor(cursor, 3)
        after = (parse_id(school), class_name, parse_id(student))
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        rows = await results.missing_page(session, caller.actor, roll_call, class_id, after, limit + 1)
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    following = encode_cursor(*map(str, last.position)) if last else None
    return Page(items=[_missing(row) for row in shown], next_cursor=following)


def _missing(row: results.Missing) -> MissingOut:
    return MissingOut(
        student_id=row.student_id,
        name=row.name,
        class_id=row.class_id,
        class_name=row.class_name,
        phone=row.phone,
        submissions=row.submissions,
        last_reasons=list(row.last_reasons),
        last_refusal=row.last_refusal,
        sent_to_a_person=row.sent_to_a_person,
        outcome=row.outcome,
    )


Outcome = Annotated[Literal["present", "missed", "excused", "undetermined"] | None, Query()]


@router.get("/roll-calls/{roll_call_id}/results", responses=documented(401, 403, 404, 422))
async def list_results(
    caller: StaffCaller,
    roll_call_id: UUID,
    outcome: Outcome = None,
    class_id: UUID | None = None,
    school_id: UUID | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[ResultOut]:
    """核验结果 · Everyone of the audience with the result in effect."""
    wanted = results.ResultFilter(outcome=outcome, class_id=class_id, school_id=school_id)
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        rows = await results.results_page(
            session, caller.actor, roll_call, wanted, position_id(cursor), limit + 1
        )
    return page_of(rows, limit, _result, lambda row: row.student.id)


def _result(row: results.Result) -> ResultOut:
    entry = row.outcome
    explained = reason_texts.reason(entry.reason) if entry else None
    return ResultOut(
        student_id=row.student.id,
        name=row.student.name,
        class_name=row.school_class.name,
        duty=row.obligation.duty,
        duty_reason=row.obligation.reason,
        outcome=entry.outcome if entry else None,
        reason=entry.reason if entry else None,
        reason_zh=explained.zh if explained else None,
        reason_en=explained.en if explained else None,
        method=entry.method if entry else None,
        seq=entry.seq if entry else None,
        decided_at=entry.at if entry else None,
    )


@router.get(
    "/roll-calls/{roll_call_id}/results/{student_id}/attempts", responses=documented(401, 403, 404, 422)
)
async def get_attempts(caller: StaffCaller, roll_call_id: UUID, student_id: UUID) -> AttemptsOut:
    """某学生在本次核验中的全部提交及判定依据 · What a student sent, what was found, and why."""
    async with caller.transaction() as session:
        found = await attempts_of(session, caller.actor, roll_call_id, student_id, caller.at)
    return AttemptsOut(
        attempts=[_attempt(each, traced=found.traced) for each in found.attempts],
        refusals=[RefusalOut(at=each.at, step=each.step, code=each.code) for each in found.refusals],
    )


def _attempt(attempt: Attempt, *, traced: bool) -> AttemptOut:
    verdict = attempt.verdict
    reasons = [reason_texts.reason(code) for code in verdict.reasons] if verdict else []
    return AttemptOut(
        submission_id=attempt.submission.id,
        received_at=attempt.submission.received_at,
        in_cool_down=attempt.submission.in_cool_down,
        actions=attempt.challenge.actions,
        cannot=attempt.challenge.cannot,
        finding=verdict.finding if verdict else None,
        reasons=[ReasonOut(code=each.code, zh=each.zh, en=each.en) for each in reasons],
        engine=verdict.engine if verdict else None,
        trace=verdict.trace if verdict and traced else None,
    )


@router.get("/registration-checks/overdue", responses=documented(401, 403, 404, 409, 422))
async def list_overdue_registration_checks(caller: StaffCaller) -> list[OverdueOut]:
    """本学期尚未完成注册核验的学校 · Schools that still owe this term's registration check (HN334-4.1a)."""
    day = legal_day(caller.at)
    minimum = policy_at(day, division_of(caller.actor.org_path)).integer(
        "registration_check.minimum_per_term"
    )
    async with caller.transaction() as session:
        term = await term_of(session, caller.actor.org_id, day)
        schools = await queries.schools_without_registration_check(
            session, caller.actor.org_path, term.code, minimum
        )
    return [OverdueOut(school_id=school.id, code=school.code, name=school.name) for school in schools]
