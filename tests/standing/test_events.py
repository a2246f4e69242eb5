"""Events of other packages recompute exactly the students that they affect."""

from uuid import UUID

import pytest
from sqlalchemy import select

from backend.roll_call.launch.audience import Audience
from backend.roll_call.tables import RollCall
from backend.roll_call.voiding import void_roll_call
from backend.standing import tasks
from backend.standing.batch_assessment import SchoolOf, known_in, missed_by, missed_despite_leave
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
from tests.support.leave import Desk
from tests.support.roll_call.scenario import make_job_context
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("HN334-4.1b")


async def run_assessment_jobs(registry: Registry, roll_call: RollCall) -> None:
    """Run the school's assessment jobs of a settled or voided roll call."""
    await registry.run_events("RollCallSettled", "RollCallVoided")
    for job in (assess_audience, assess_known):
        [arguments] = [
            found
            for found in await registry.roll_call_scenario.load_jobs(job.name)
            if found["roll_call_id"] == str(roll_call.id)
        ]
        await job(make_job_context(registry.app_context), **arguments)


def find_school(registry: Registry) -> SchoolOf:
    return SchoolOf(registry.school.id, registry.school.path)


async def select_students(registry: Registry, roll_call: RollCall) -> set[UUID]:
    async with registry.as_worker() as session:
        of = (find_school(registry), roll_call.id)
        return {*await session.scalars(missed_by(*of)), *await session.scalars(known_in(*of))}


async def test_students_with_most_misses_are_assessed_first(registry: Registry) -> None:
    first, second, *others = sorted(registry.school.students, key=lambda pupil: pupil.id)
    await registry.check(present=[first, *others])
    last = await registry.check(present=others)
    async with registry.as_worker() as session:
        assert list(await session.scalars(missed_by(find_school(registry), last.id))) == [second.id, first.id]


async def test_a_settlement_raises_prompts_for_missing_students(registry: Registry) -> None:
    missed = await registry.misses(2, present=[registry.pupil])
    await run_assessment_jobs(registry, missed[1])
    assert await registry.rows(PromptRecord) == []
    assert await registry.count(PromptRecord) == len(registry.school.students) - 1


@pytest.mark.parametrize("at_once", [1, 2])
async def test_a_roll_call_of_many_schools_is_assessed_in_few_jobs(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(tasks, "SCHOOLS_AT_ONCE", at_once)
    schools = (registry.school, registry.roll_call_scenario.world.sister)
    await registry.roll_call_scenario.file_site(schools[1])
    audience = Audience(unit_ids=tuple(school.id for school in schools))
    missed = [await registry.check(audience=audience)]
    registry.set_clock(days=1)
    missed.append(await registry.check(audience=audience))
    await registry.run_events("RollCallSettled")
    asked = [
        arguments
        for arguments in await registry.roll_call_scenario.load_jobs(assess_audience.name)
        if arguments["roll_call_id"] == str(missed[1].id)
    ]
    for arguments in asked:
        await assess_audience(make_job_context(registry.app_context), **arguments)
    everyone = {pupil.id for school in schools for pupil in school.students}
    async with registry.roll_call_scenario.owner_transaction() as session:
        prompted = await session.scalars(
            select(PromptRecord.student_id).where(PromptRecord.student_id.in_(everyone))
        )
        assert set(prompted) == everyone
    assert len(asked) == len(schools) // at_once


async def test_a_settlement_assesses_missing_and_assessed_students(registry: Registry) -> None:
    back, passing, absent, *others = registry.school.students
    await registry.check(present=[passing, absent, *others])
    await registry.recompute(back)
    registry.set_clock(days=1)
    second = await registry.check(present=[back, passing, *others])
    assert await select_students(registry, second) == {back.id, absent.id}


@pytest.mark.clause("R1")
async def test_a_pass_resets_the_count_as_soon_as_it_is_settled(registry: Registry) -> None:
    await registry.misses(1)
    await registry.recompute()
    passed = await registry.check(present=[registry.pupil])
    await run_assessment_jobs(registry, passed)
    [standing] = await registry.rows(StudentStanding)
    [counts] = [term["misses"] for term in standing.assessment["terms"] if term["sequence"]]
    assert (counts["consecutive"], counts["cumulative"]) == (0, 1)


async def test_a_voided_roll_call_withdraws_its_prompts(registry: Registry) -> None:
    missed = await registry.misses(2)
    await run_assessment_jobs(registry, missed[1])
    async with registry.transaction(registry.bureau) as session:
        await void_roll_call(session, registry.bureau, missed[0].id, "误操作", registry.at)
    await run_assessment_jobs(registry, missed[0])
    steps = sorted(await registry.rows(PromptStep), key=lambda step: step.seq)
    assert steps[-1].state == "withdrawn"


async def test_a_changed_result_recomputes_the_student(registry: Registry) -> None:
    missed = await registry.misses(2)
    await registry.recompute()
    async with registry.transaction(registry.bureau) as session:
        await void_roll_call(session, registry.bureau, missed[0].id, "误操作", registry.at)
    await registry.run_events("OutcomeChanged")
    steps = sorted(await registry.rows(PromptStep), key=lambda step: step.seq)
    assert steps[-1].state == "withdrawn"


# --- leave ---


@pytest.mark.clause("R6")
@pytest.mark.clause("HN334-3.5a")
async def test_leave_requested_after_a_miss_becomes_a_claim(
    registry: Registry,
) -> None:
    missed = await registry.check()
    desk = Desk(registry.roll_call_scenario)
    leave = await desk.ask()
    await desk.deliver("LeaveRequested", leave)
    [claim] = await registry.rows(ReasonClaimRecord)
    assert (claim.roll_call_id, claim.leave_id) == (missed.id, leave.request.id)
    assert [row.code for row in await registry.rows(StandingWarningRecord)] == ["one_more_miss"]


@pytest.mark.clause("R6")
async def test_leave_pending_at_settlement_becomes_a_claim(registry: Registry) -> None:
    desk = Desk(registry.roll_call_scenario)
    leave = await desk.ask()
    missed = await registry.check()
    async with registry.as_worker() as session:
        assert set(await session.scalars(missed_despite_leave(find_school(registry), missed.id))) == {
            registry.pupil.id
        }
    await run_assessment_jobs(registry, missed)
    [claim] = await registry.rows(ReasonClaimRecord)
    assert claim.leave_id == leave.request.id


@pytest.mark.clause("R6")
async def test_a_failed_leave_claim_does_not_delay_other_students(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registry.misses(1)
    desk = Desk(registry.roll_call_scenario)
    await desk.ask()
    missed = await registry.check()

    async def broken(*_: object) -> None:
        raise RuntimeError

    await registry.run_events("RollCallSettled")
    [arguments] = [
        found
        for found in await registry.roll_call_scenario.load_jobs(assess_audience.name)
        if found["roll_call_id"] == str(missed.id)
    ]
    with monkeypatch.context() as patched:
        patched.setattr(tasks, "claim_late_leave", broken)
        with pytest.raises(ExceptionGroup, match="leave of 1 students"):
            await assess_audience(make_job_context(registry.app_context), **arguments)
    assert await registry.rows(PromptRecord) == []
    assert await registry.count(PromptRecord) == len(registry.school.students) - 1
    await assess_audience(make_job_context(registry.app_context), **arguments)
    assert len(await registry.rows(ReasonClaimRecord)) == 1


@pytest.mark.clause("HN334-3.5b")
async def test_approving_sixteen_days_of_leave_creates_a_warning(registry: Registry) -> None:
    desk = Desk(registry.roll_call_scenario)
    await desk.approved(days=9)
    second = await desk.approved(first=10, days=7)
    await desk.deliver("LeaveDecided", second)
    assert [row.code for row in await registry.rows(StandingWarningRecord)] == ["leave_plan_exceeds"]
    await desk.cancel(second)
    await desk.deliver("LeaveCancelled", second)
    [standing] = await registry.rows(StudentStanding)
    assert standing.assessment["warnings"] == []


# --- contracts with other packages ---


async def test_duplicate_assessment_jobs_are_enqueued_once(
    registry: Registry,
) -> None:
    for _ in range(2):
        async with registry.as_worker() as session:
            await enqueue_assessment(session, [registry.school.id])
            await enqueue_student(session, registry.school.id, registry.school.path, registry.pupil.id)
    assert await registry.roll_call_scenario.jobs("assess_school", school_id=registry.school.id) == 1
    assert await registry.roll_call_scenario.jobs("assess_student", student_id=registry.pupil.id) == 1


async def test_the_job_of_a_student_saves_the_assessment(registry: Registry) -> None:
    await registry.misses(2)
    await assess_student(
        make_job_context(registry.app_context),
        school_id=str(registry.school.id),
        path=registry.school.path,
        student_id=str(registry.pupil.id),
    )
    assert len(await registry.rows(PromptRecord)) == 1
