"""Routes with the missing students of a roll call, the results of all, undetermined results, and the attempts of one."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.listing.pages import CountedPage
from backend.core.pagination import Limit
from backend.core.web.problems import problem_responses
from backend.core.web.requests import Caller
from backend.identity.names import with_names
from backend.org.queries import get_unit_in_subtree
from backend.roll_call import reason_texts
from backend.roll_call.access import access_roll_call
from backend.roll_call.check_in.history import Attempt, load_attempt_history
from backend.roll_call.reason_texts import explain_refusal
from backend.roll_call.results.listing import Result, ResultFilter, ResultSort, load_results_page
from backend.roll_call.results.missing import (
    MissingSearch,
    MissingSort,
    MissingStudent,
    explain_last_attempt,
    load_missing_page,
)
from backend.roll_call.results.undetermined import (
    UndeterminedResult,
    UndeterminedSearch,
    UndeterminedSort,
    load_undetermined_page,
)
from backend.roll_call.staff_schemas import (
    AttemptOut,
    AttemptReasonOut,
    AttemptRefusalOut,
    MissingStudentOut,
    ResultOut,
    StudentAttemptsOut,
    UndeterminedResultOut,
)
from backend.roll_call.tables import Refusal, RollCallStep
from backend.staff_api.caller import StaffCaller
from backend.staff_api.student_search import StudentList
from backend.standing.student_view.counting import MissCounting, judge_miss, load_positions

router = APIRouter(prefix="/v1", tags=["点名核验 · roll calls"])


@router.get("/roll-calls/{roll_call_id}/missing", responses=problem_responses(401, 403, 404, 422))
async def list_missing_students(
    caller: StaffCaller,
    roll_call_id: UUID,
    students: StudentList,
    class_id: UUID | None = None,
    sort: MissingSort = "class_name",
    limit: Limit = 100,
) -> CountedPage[MissingStudentOut]:
    """尚未通过者名单，含最近一次失败原因；q 为姓名的一部分或完整号码 · Missing students, with the latest reason; q is a part of a name or a whole number."""
    request = students.page(limit, sort)
    async with caller.transaction() as session:
        path = await _find_path(session, caller, students.unit_id)
        search = MissingSearch(class_id, students.condition(caller), path)
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        page = await load_missing_page(session, caller.actor, roll_call, search, request)
    return page.render_counted(_to_missing_out)


async def _find_path(session: AsyncSession, caller: Caller, unit_id: UUID | None) -> str | None:
    """The path of the unit to which a list is limited; None without a filter."""
    return None if unit_id is None else (await get_unit_in_subtree(session, caller.actor, unit_id)).path


def _to_missing_out(row: MissingStudent) -> MissingStudentOut:
    words = explain_last_attempt(row)
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
    students: StudentList,
    outcome: Outcome = None,
    class_id: UUID | None = None,
    school_id: UUID | None = None,
    sort: ResultSort = "name",
    limit: Limit = 100,
) -> CountedPage[ResultOut]:
    """核验结果（按姓名） · All students of the audience with the current outcome, by name."""
    request = students.page(limit, sort)
    async with caller.transaction() as session:
        path = await _find_path(session, caller, students.unit_id)
        filters = ResultFilter(outcome, class_id, school_id, students.condition(caller), path)
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        page = await load_results_page(session, caller.actor, roll_call, filters, request)
        positions = await load_positions(session, [row.student.id for row in page.rows])
        voided = await session.get(RollCallStep, (roll_call_id, "voided")) is not None

    def count_miss(row: Result) -> MissCounting | None:
        outcome = row.outcome.outcome if row.outcome else None
        return judge_miss(positions, row.student.id, roll_call.id, roll_call.kind, outcome, voided=voided)

    return page.render_counted(lambda row: _to_result_out(row, count_miss(row)))


def _to_result_out(row: Result, counting: MissCounting | None) -> ResultOut:
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


Reason = Annotated[
    str | None,
    Query(
        max_length=100,
        pattern=r"^[a-z_]+$",
        description="只列某原因的 · only of this reason",
        examples=["verification_pending"],
    ),
]
MinimumAge = Annotated[
    int | None,
    Query(ge=0, le=3650, description="待定至少多少天 · undetermined for at least so many days"),
]


@router.get("/undetermined-results", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_undetermined_results(
    caller: StaffCaller,
    students: StudentList,
    roll_call_id: UUID | None = None,
    reason: Reason = None,
    minimum_days: MinimumAge = None,
    sort: UndeterminedSort = "at",
    limit: Limit = 50,
) -> CountedPage[UndeterminedResultOut]:
    """由本单位认定的待定结果（最久的在前） · Undetermined results of all roll calls that you may determine, oldest first."""
    until = None if minimum_days is None else caller.at - timedelta(days=minimum_days)
    search = UndeterminedSearch(roll_call_id, students.unit_id, reason, until, students.condition(caller))
    request = students.page(limit, sort)
    async with caller.transaction() as session:
        page = await load_undetermined_page(session, caller.actor, search, request)
    return page.render_counted(_to_undetermined_out)


def _to_undetermined_out(row: UndeterminedResult) -> UndeterminedResultOut:
    words = reason_texts.closed_reason(row.outcome.reason)
    return UndeterminedResultOut(
        roll_call_id=row.roll_call.id,
        roll_call_title=row.roll_call.title,
        student_id=row.student.id,
        student_name=row.student.name,
        class_id=row.outcome.class_id,
        class_name=row.class_name,
        school_id=row.outcome.school_id,
        reason=row.outcome.reason,
        reason_zh=words.zh,
        reason_en=words.en,
        at=row.outcome.at,
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
