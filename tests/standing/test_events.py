"""Events of other packages recompute exactly the students that they affect."""

from uuid import UUID

import pytest
from sqlalchemy import select

from backend.roll_call.launch.audience import Audience
from backend.roll_call.tables import RollCall
from backend.roll_call.voiding import void_roll_call
from backend.standing import tasks
from backend.standing.batch_assessment import (
    SingleSchool,
    select_absentees,
    select_absentees_with_leave,
    select_assessed_participants,
)
from backend.standing.store.tables import (
    PromptRecord,
    PromptStep,
    ReasonClaimRecord,
    StandingWarningRecord,
    StudentStanding,
)
from backend.standing.tasks import (
    assess_audience,
    assess_known,
    assess_student,
    enqueue_assessment,
    enqueue_student,
)
from tests.support.leave import LeaveScenario
from tests.support.roll_call.scenario import make_job_context
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


async def run_assessment_jobs(scenario: StandingScenario, roll_call: RollCall) -> None:
    """Run the school's assessment jobs of a settled or voided roll call."""
    await scenario.run_events("RollCallSettled", "RollCallVoided")
    for job in (assess_audience, assess_known):
        [arguments] = [
            found
            for found in await scenario.roll_call_scenario.load_jobs(job.name)
            if found["roll_call_id"] == str(roll_call.id)
        ]
        await job(make_job_context(scenario.app_context), **arguments)


def find_school(scenario: StandingScenario) -> SingleSchool:
    return SingleSchool(scenario.school.id, scenario.school.path)


async def select_students(scenario: StandingScenario, roll_call: RollCall) -> set[UUID]:
    async with scenario.as_worker() as session:
        of = (find_school(scenario), roll_call.id)
        return {
            *await session.scalars(select_absentees(*of)),
            *await session.scalars(select_assessed_participants(*of)),
        }


async def test_students_with_most_misses_are_assessed_first(scenario: StandingScenario) -> None:
    first, second, *others = sorted(scenario.school.students, key=lambda pupil: pupil.id)
    await scenario.check(present=[first, *others])
    last = await scenario.check(present=others)
    async with scenario.as_worker() as session:
        assert list(await session.scalars(select_absentees(find_school(scenario), last.id))) == [
            second.id,
            first.id,
        ]


async def test_a_settlement_raises_prompts_for_missing_students(scenario: StandingScenario) -> None:
    missed = await scenario.misses(2, present=[scenario.pupil])
    await run_assessment_jobs(scenario, missed[1])
    assert await scenario.rows(PromptRecord) == []
    assert await scenario.count(PromptRecord) == len(scenario.school.students) - 1


@pytest.mark.parametrize("at_once", [1, 2])
async def test_a_roll_call_of_many_schools_is_assessed_in_few_jobs(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(tasks, "SCHOOLS_PER_JOB", at_once)
    schools = (scenario.school, scenario.roll_call_scenario.world.sister)
    await scenario.roll_call_scenario.file_site(schools[1])
    audience = Audience(unit_ids=tuple(school.id for school in schools))
    missed = [await scenario.check(audience=audience)]
    scenario.set_clock(days=1)
    missed.append(await scenario.check(audience=audience))
    await scenario.run_events("RollCallSettled")
    asked = [
        arguments
        for arguments in await scenario.roll_call_scenario.load_jobs(assess_audience.name)
        if arguments["roll_call_id"] == str(missed[1].id)
    ]
    for arguments in asked:
        await assess_audience(make_job_context(scenario.app_context), **arguments)
    everyone = {pupil.id for school in schools for pupil in school.students}
    async with scenario.roll_call_scenario.owner_transaction() as session:
        prompted = await session.scalars(
            select(PromptRecord.student_id).where(PromptRecord.student_id.in_(everyone))
        )
        assert set(prompted) == everyone
    assert len(asked) == len(schools) // at_once


async def test_a_settlement_assesses_missing_and_assessed_students(scenario: StandingScenario) -> None:
    back, passing, absent, *others = scenario.school.students
    await scenario.check(present=[passing, absent, *others])
    await scenario.recompute(back)
    scenario.set_clock(days=1)
    second = await scenario.check(present=[back, passing, *others])
    assert await select_students(scenario, second) == {back.id, absent.id}


@pytest.mark.clause("R1")
async def test_a_pass_resets_the_count_as_soon_as_it_is_settled(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    await scenario.recompute()
    passed = await scenario.check(present=[scenario.pupil])
    await run_assessment_jobs(scenario, passed)
    [standing] = await scenario.rows(StudentStanding)
    [counts] = [term["misses"] for term in standing.assessment["terms"] if term["sequence"]]
    assert (counts["consecutive"], counts["cumulative"]) == (0, 1)


async def test_a_voided_roll_call_withdraws_its_prompts(scenario: StandingScenario) -> None:
    missed = await scenario.misses(2)
    await run_assessment_jobs(scenario, missed[1])
    async with scenario.transaction(scenario.bureau) as session:
        await void_roll_call(session, scenario.bureau, missed[0].id, "误操作", scenario.at)
    await run_assessment_jobs(scenario, missed[0])
    steps = sorted(await scenario.rows(PromptStep), key=lambda step: step.seq)
    assert steps[-1].state == "withdrawn"


async def test_a_changed_result_recomputes_the_student(scenario: StandingScenario) -> None:
    missed = await scenario.misses(2)
    await scenario.recompute()
    async with scenario.transaction(scenario.bureau) as session:
        await void_roll_call(session, scenario.bureau, missed[0].id, "误操作", scenario.at)
    await scenario.run_events("OutcomeChanged")
    steps = sorted(await scenario.rows(PromptStep), key=lambda step: step.seq)
    assert steps[-1].state == "withdrawn"


# --- leave ---


@pytest.mark.clause("R6")
@pytest.mark.clause("HN334-3.5a")
async def test_leave_requested_after_a_miss_becomes_a_claim(
    scenario: StandingScenario,
) -> None:
    missed = await scenario.check()
    desk = LeaveScenario(scenario.roll_call_scenario)
    leave = await desk.request()
    await desk.deliver_event("LeaveRequested", leave)
    [claim] = await scenario.rows(ReasonClaimRecord)
    assert (claim.roll_call_id, claim.leave_id) == (missed.id, leave.request.id)
    assert [row.code for row in await scenario.rows(StandingWarningRecord)] == ["one_more_miss"]


@pytest.mark.clause("R6")
async def test_leave_pending_at_settlement_becomes_a_claim(scenario: StandingScenario) -> None:
    desk = LeaveScenario(scenario.roll_call_scenario)
    leave = await desk.request()
    missed = await scenario.check()
    async with scenario.as_worker() as session:
        assert set(await session.scalars(select_absentees_with_leave(find_school(scenario), missed.id))) == {
            scenario.pupil.id
        }
    await run_assessment_jobs(scenario, missed)
    [claim] = await scenario.rows(ReasonClaimRecord)
    assert claim.leave_id == leave.request.id


@pytest.mark.clause("R6")
async def test_a_failed_leave_claim_does_not_delay_other_students(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scenario.misses(1)
    desk = LeaveScenario(scenario.roll_call_scenario)
    await desk.request()
    missed = await scenario.check()

    async def broken(*_: object) -> None:
        raise RuntimeError

    await scenario.run_events("RollCallSettled")
    [arguments] = [
        found
        for found in await scenario.roll_call_scenario.load_jobs(assess_audience.name)
        if found["roll_call_id"] == str(missed.id)
    ]
    with monkeypatch.context() as patched:
        patched.setattr(tasks, "file_late_leave_claims", broken)
        with pytest.raises(ExceptionGroup, match="leave of 1 students"):
            await assess_audience(make_job_context(scenario.app_context), **arguments)
    assert await scenario.rows(PromptRecord) == []
    assert await scenario.count(PromptRecord) == len(scenario.school.students) - 1
    await assess_audience(make_job_context(scenario.app_context), **arguments)
    assert len(await scenario.rows(ReasonClaimRecord)) == 1


@pytest.mark.clause("HN334-3.5b")
async def test_approving_sixteen_days_of_leave_creates_a_warning(scenario: StandingScenario) -> None:
    desk = LeaveScenario(scenario.roll_call_scenario)
    await desk.request_approved(days=9)
    second = await desk.request_approved(first=10, days=7)
    await desk.deliver_event("LeaveDecided", second)
    assert [row.code for row in await scenario.rows(StandingWarningRecord)] == ["leave_plan_exceeds"]
    await desk.cancel(second)
    await desk.deliver_event("LeaveCancelled", second)
    [standing] = await scenario.rows(StudentStanding)
    assert standing.assessment["warnings"] == []


# --- contracts with other packages ---


async def test_duplicate_assessment_jobs_are_enqueued_once(
    scenario: StandingScenario,
) -> None:
    for _ in range(2):
        async with scenario.as_worker() as session:
            await enqueue_assessment(session, [scenario.school.id])
            await enqueue_student(session, scenario.school.id, scenario.school.path, scenario.pupil.id)
    assert await scenario.roll_call_scenario.jobs("assess_school", school_id=scenario.school.id) == 1
    assert await scenario.roll_call_scenario.jobs("assess_student", student_id=scenario.pupil.id) == 1


async def test_the_job_of_a_student_saves_the_assessment(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await assess_student(
        make_job_context(scenario.app_context),
        school_id=str(scenario.school.id),
        path=scenario.school.path,
        student_id=str(scenario.pupil.id),
    )
    assert len(await scenario.rows(PromptRecord)) == 1
