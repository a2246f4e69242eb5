"""Settlement: every obligation gets one outcome, and an in-time submission is never counted as a plain miss."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError, ProgrammingError

from backend.core.database import driver_connection
from backend.core.tenancy import Scope
from backend.people.tables import Student
from backend.roll_call.check_in.evaluate import Acknowledgement, receive_batch
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.outcomes import lock_roll_call_exclusive
from backend.roll_call.progress.tasks import compare_counters
from backend.roll_call.settlement import tasks
from backend.roll_call.settlement.resettlement import resettle_submission
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.settlement.tasks import run_due_steps
from backend.roll_call.tables import OutcomeCountPending, RollCall, RollCallStep
from backend.roll_call.voiding import void_roll_call
from tests.support.roll_call.scenario import GRACE, MICROSECOND, RollCallScenario, make_job_context
from tests.support.roll_call.student_phone import (
    OUTSIDE,
    StudentWithPhone,
    envelope,
    make_check_in_request,
    make_fixes,
    render_burst,
)

pytestmark = pytest.mark.clause("HN334-3.4")

SECOND = timedelta(seconds=1)


async def settle_after_close(
    scenario: RollCallScenario, roll_call: RollCall, after: timedelta = MICROSECOND
) -> dict[str, int]:
    """Settle some time after the close and check that the sums add up."""
    scenario.clock.at = roll_call.closes_at + after
    settlement = await scenario.settle(roll_call)
    if not settlement.waiting_for:
        assert_balanced(settlement.figures)
    return settlement.figures


def assert_balanced(figures: dict[str, int]) -> None:
    parts = sum(figures[name] for name in ("present", "missed", "excused", "undetermined"))
    assert parts == figures["obligations"]


async def activate_student(scenario: RollCallScenario, number: int = 0) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[number])


async def test_verified_student_is_present_and_silent_students_missed(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    verdict = await scenario.pass_roll_call(student, launched.roll_call.id)
    assert (verdict.finding, verdict.reasons) == ("accepted", ["verified"])
    figures = await settle_after_close(scenario, launched.roll_call)
    assert figures == {"obligations": 6, "present": 1, "missed": 5, "excused": 0, "undetermined": 0}
    assert await scenario.outcome(launched.roll_call.id, student) == ("present", "verified")


async def test_nothing_is_settled_before_the_close(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    assert await settle_after_close(scenario, launched.roll_call, timedelta()) == {}
    assert await scenario.outcomes(launched.roll_call.id) == {}


async def test_settlement_waits_for_in_time_submission_without_verdict(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    assert await settle_after_close(scenario, launched.roll_call) == {}
    assert await scenario.outcomes(launched.roll_call.id) == {}
    await scenario.verify(submission_id)
    assert (await settle_after_close(scenario, launched.roll_call, 2 * MICROSECOND))["present"] == 1


async def test_settlement_does_not_wait_for_present_students(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    await scenario.submit(student, launched.roll_call.id, render_burst(student.person, first=10))
    await scenario.pass_roll_call(student, launched.roll_call.id)
    assert (await settle_after_close(scenario, launched.roll_call))["present"] == 1


@pytest.mark.parametrize("uploaded", [0, 1])
async def test_submission_with_overdue_frames_ends_undetermined(
    scenario: RollCallScenario, uploaded: int
) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    frames = render_burst(student.person)
    received = await scenario.submit(student, launched.roll_call.id, frames)
    for position in range(uploaded):
        await scenario.upload(student, received.submission_id, position, frames[position])
    submission_id = received.submission_id
    assert await settle_after_close(scenario, launched.roll_call) == {}
    assert await scenario.task(submission_id) is not None
    assert await settle_after_close(scenario, launched.roll_call, 2 * SECOND) == {}
    verdict = await scenario.verify(submission_id)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["frames_missing"])
    assert (await settle_after_close(scenario, launched.roll_call, 3 * SECOND))["undetermined"] == 1
    assert await scenario.outcome(launched.roll_call.id, student) == ("undetermined", "frames_missing")


async def test_overdue_submissions_are_enqueued_once_over_many_runs(
    scenario: RollCallScenario,
) -> None:
    launched = await scenario.launch()
    sent = [
        (await scenario.submit(await activate_student(scenario, number), launched.roll_call.id)).submission_id
        for number in range(3)
    ]
    for run in range(1, 4):
        assert await settle_after_close(scenario, launched.roll_call, run * SECOND) == {}
    tasks = [await scenario.task(each) for each in sent]
    assert [task and (task.state, task.enqueued_at) for task in tasks] == [
        ("waiting", launched.roll_call.closes_at + SECOND)
    ] * 3


async def test_submission_with_frames_not_yet_due_is_not_enqueued(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    scenario.clock.at = launched.roll_call.closes_at
    received = await scenario.submit(student, launched.roll_call.id)
    assert received.frames_due_at == launched.roll_call.closes_at + GRACE
    assert await settle_after_close(scenario, launched.roll_call, GRACE) == {}
    assert await scenario.task(received.submission_id) is None


async def test_settlement_stops_waiting_for_a_broken_worker(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    assert await settle_after_close(scenario, launched.roll_call, 2 * GRACE) == {}
    figures = await settle_after_close(scenario, launched.roll_call, 2 * GRACE + MICROSECOND)
    assert figures["undetermined"] == 1
    assert await scenario.outcome(launched.roll_call.id, student) == (
        "undetermined",
        "verification_pending",
    )
    await scenario.verify(submission_id)
    assert await scenario.outcome(launched.roll_call.id, student) == ("present", "verified")
    (changed,) = await scenario.load_events("OutcomeChanged", launched.roll_call.id)
    assert (changed.payload["outcome"], changed.payload["seq"]) == ("present", 2)


async def test_outside_site_is_missed_but_face_mismatch_undetermined(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    away, stranger = await activate_student(scenario), await activate_student(scenario, 1)
    outside = await scenario.check_in(away, launched.roll_call.id, fixes=make_fixes(OUTSIDE))
    assert (await scenario.verify(outside)).reasons == ["outside_site"]
    other = await scenario.check_in(replace(stranger, person=stranger.person + 1), launched.roll_call.id)
    assert (await scenario.verify(other)).reasons == ["face_mismatch"]
    await settle_after_close(scenario, launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, away) == ("missed", "outside_site")
    assert await scenario.outcome(launched.roll_call.id, stranger) == ("undetermined", "face_mismatch")


async def test_concurrent_settlements_settle_once(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    await scenario.pass_roll_call(await activate_student(scenario), launched.roll_call.id)
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    one, other = await asyncio.gather(*(scenario.settle(launched.roll_call) for _ in range(2)))
    assert one == other
    assert_balanced(one.figures)
    assert len(await scenario.load_events("RollCallSettled", launched.roll_call.id)) == 1


async def test_settlement_waits_for_envelope_being_stored(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    roll_call = launched.roll_call
    scenario.clock.at = roll_call.closes_at
    nonce = await scenario.nonce(student, roll_call.id)
    signed = envelope(student, roll_call.id, nonce, render_burst(student.person))
    arriving = make_check_in_request(student, roll_call.id, signed, roll_call.closes_at)
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        (stored,) = await receive_batch(
            await driver_connection(session), [arriving], scenario.app_context.keys
        )
        assert isinstance(stored, Acknowledgement)
        scenario.clock.at = roll_call.closes_at + MICROSECOND
        settling = asyncio.create_task(scenario.settle(roll_call))
        await scenario.wait_for_lock()
        assert not settling.done()
    assert (await settling).waiting_for == 1


@pytest.mark.parametrize("first", ["resettle", "verify"])
async def test_in_time_submission_stored_after_settlement_is_not_missed(
    scenario: RollCallScenario, first: str
) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    roll_call = launched.roll_call
    scenario.clock.at = roll_call.closes_at
    frames = await scenario.answer(student, roll_call.id)
    nonce = await scenario.nonce(student, roll_call.id)
    signed = envelope(student, roll_call.id, nonce, frames)
    await settle_after_close(scenario, roll_call)
    assert await scenario.outcome(roll_call.id, student) == ("missed", "no_check_in")

    received = await scenario.send(student, roll_call.id, signed, at=roll_call.closes_at)
    assert isinstance(received, Acknowledgement)
    arguments = {"submission_id": str(received.submission_id), "school_id": str(scenario.school.id)}
    assert await scenario.jobs("resettle_submission", **arguments) == 1
    for position, data in enumerate(frames):
        await scenario.upload(student, received.submission_id, position, data)

    async def run_resettlement() -> None:
        await resettle_submission(make_job_context(scenario.app_context), **arguments)

    if first == "resettle":
        await run_resettlement()
        assert await scenario.outcome(roll_call.id, student) == ("undetermined", "verification_pending")
        await scenario.verify(received.submission_id)
    else:
        await scenario.verify(received.submission_id)
        await run_resettlement()
    assert await scenario.outcome(roll_call.id, student) == ("present", "verified")


async def test_voided_roll_call_is_never_settled(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    roll_call, bureau = launched.roll_call, scenario.bureau
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, roll_call.id, "全市停电", scenario.clock())
    scenario.clock.at = roll_call.closes_at + SECOND
    assert (await scenario.settle(roll_call)).figures == {}
    await run_due_steps(scenario.app_context)
    async with scenario.owner_transaction() as session:
        assert await session.get(RollCallStep, (roll_call.id, "settled")) is None
    outcomes = await scenario.outcomes(roll_call.id)
    assert {entry.outcome for entry in outcomes.values()} == {"excused"}
    assert len(outcomes) == launched.owed


async def test_verdict_after_voiding_changes_nothing(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student, bureau = await activate_student(scenario), scenario.bureau
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "全市停电", scenario.clock())
    assert (await scenario.verify(submission_id)).finding == "accepted"
    assert await scenario.outcome(launched.roll_call.id, student) == ("excused", "voided")


@pytest.mark.clause("HN334-2.2")
async def test_part_time_students_get_no_outcome(scenario: RollCallScenario) -> None:
    part_time = scenario.school.students[0]
    await make_part_time(scenario, part_time.id)
    launched = await scenario.launch()
    figures = await settle_after_close(scenario, launched.roll_call)
    assert figures["obligations"] == 5
    assert part_time.id not in await scenario.outcomes(launched.roll_call.id)


async def make_part_time(scenario: RollCallScenario, student_id: UUID) -> None:
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, student_id)).study_form = "part_time"


@pytest.mark.clause("R8")
async def test_unannounced_roll_call_has_no_misses(scenario: RollCallScenario) -> None:
    launched = await scenario.launch(announced=False)
    figures = await settle_after_close(scenario, launched.roll_call)
    assert (figures["missed"], figures["undetermined"]) == (0, 6)
    assert {entry.reason for entry in (await scenario.outcomes(launched.roll_call.id)).values()} == {
        "not_announced"
    }


async def test_periodic_task_settles_once(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    await scenario.record_heartbeats(launched.roll_call)
    scenario.clock.at = launched.roll_call.closes_at + SECOND
    await run_due_steps(scenario.app_context)
    await run_due_steps(scenario.app_context)
    assert len(await scenario.load_events("RollCallSettled", launched.roll_call.id)) == 1


async def test_failed_settlement_does_not_block_others(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = await scenario.launch()
    sound = await scenario.launch(
        opens_at=broken.roll_call.closes_at + SECOND, closes_at=broken.roll_call.closes_at + 7200 * SECOND
    )

    await scenario.record_heartbeats(broken.roll_call)

    async def close_or_fail(session: Any, roll_call_id: UUID, at: Any) -> object:
        if roll_call_id == broken.roll_call.id:
            msg = "does not balance"
            raise RuntimeError(msg)
        return await settle_roll_call(session, roll_call_id, at)

    monkeypatch.setitem(tasks._STEPS, "close", close_or_fail)
    scenario.clock.at = sound.roll_call.closes_at + SECOND
    with pytest.raises(ExceptionGroup):
        await run_due_steps(scenario.app_context)
    assert len(await scenario.load_events("RollCallSettled", sound.roll_call.id)) == 1
    monkeypatch.undo()
    await run_due_steps(scenario.app_context)
    assert len(await scenario.load_events("RollCallSettled", broken.roll_call.id)) == 1


async def test_verdict_concurrent_with_forced_settlement_is_kept(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await activate_student(scenario)
    roll_call = launched.roll_call
    submission_id = await scenario.check_in(student, roll_call.id)
    scenario.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    async with scenario.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
        assert (await settle_roll_call(session, roll_call.id, scenario.clock())).figures["undetermined"] == 1
        verifying = asyncio.create_task(scenario.verify(submission_id))
        await scenario.wait_for_lock()
        assert not verifying.done()
    assert (await verifying).finding == "accepted"
    assert await scenario.outcome(roll_call.id, student) == ("present", "verified")


@pytest.mark.clause("R8")
async def test_notice_shortly_before_the_close_leaves_no_misses(scenario: RollCallScenario) -> None:
    launched = await scenario.launch(announced=False)
    student = await activate_student(scenario)
    scenario.clock.at = launched.roll_call.closes_at - timedelta(minutes=5)
    assert await scenario.announce(launched.roll_call) > 0
    await scenario.pass_roll_call(student, launched.roll_call.id)
    figures = await settle_after_close(scenario, launched.roll_call)
    assert (figures["present"], figures["missed"], figures["undetermined"]) == (1, 0, 5)


@pytest.mark.clause("R8")
async def test_closed_roll_call_is_not_announced(scenario: RollCallScenario) -> None:
    launched = await scenario.launch(announced=False)
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    assert await scenario.announce(launched.roll_call) == 0
    assert (await settle_after_close(scenario, launched.roll_call))["undetermined"] == 6


async def test_unattended_non_face_request_is_undetermined(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    referred = await scenario.activate(scenario.school.students[0], face=False)
    silent = await scenario.activate(scenario.school.students[1], face=False)
    assert isinstance(await scenario.challenge(referred, launched.roll_call.id), RecordedRefusal)
    await settle_after_close(scenario, launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, referred) == (
        "undetermined",
        "non_face_route_unattended",
    )
    assert await scenario.outcome(launched.roll_call.id, silent) == ("missed", "no_check_in")


async def test_step_running_in_another_worker_is_skipped(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    await scenario.record_heartbeats(launched.roll_call)
    scenario.clock.at = launched.roll_call.closes_at + SECOND
    async with scenario.owner_transaction() as session:
        await lock_roll_call_exclusive(session, launched.roll_call.id)
        slow = asyncio.create_task(run_due_steps(scenario.app_context))
        await scenario.wait_for_lock()
        await run_due_steps(scenario.app_context)
        assert not slow.done()
    await slow
    assert len(await scenario.load_events("RollCallSettled", launched.roll_call.id)) == 1


def test_resettlement_is_retried_without_limit() -> None:
    strategy = resettle_submission.retry_strategy
    assert strategy is not None
    job = cast("Any", SimpleNamespace(attempts=1000))
    assert strategy.get_retry_decision(exception=RuntimeError(), job=job) is not None


async def test_counters_that_differ_from_outcomes_are_reported(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    await settle_after_close(scenario, launched.roll_call)
    payload = {"roll_call_id": str(launched.roll_call.id), "path": launched.roll_call.launcher_path}
    await compare_counters(make_job_context(scenario.app_context), **payload)
    async with scenario.owner_transaction() as session:
        add_one_miss = update(OutcomeCountPending).where(
            OutcomeCountPending.roll_call_id == launched.roll_call.id
        )
        await session.execute(add_one_miss.values(missed=OutcomeCountPending.missed + 1))
    with pytest.raises(RuntimeError, match="dianming progress check"):
        await compare_counters(make_job_context(scenario.app_context), **payload)


def test_counter_comparison_is_retried_only_on_database_outage() -> None:
    strategy = compare_counters.retry_strategy
    assert strategy is not None
    job = cast("Any", SimpleNamespace(attempts=1000))
    outage, defect = (
        OperationalError(None, None, ConnectionError()),
        ProgrammingError(None, None, ValueError()),
    )
    assert strategy.get_retry_decision(exception=outage, job=job) is not None
    for error in (RuntimeError(), defect):
        assert strategy.get_retry_decision(exception=error, job=job) is None


async def test_only_the_launcher_sees_open_obligations(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    statement = text("SELECT student_id FROM definer.open_obligations(:id)").bindparams(
        id=launched.roll_call.id
    )
    school = Scope.school(scenario.school.id, scenario.school.path)
    async with scenario.app_context.database.transaction(
        Scope.wide(launched.roll_call.launcher_path)
    ) as session:
        everyone = set(await session.scalars(statement))
    async with scenario.app_context.database.transaction(school) as session:
        visible_to_school = (await session.scalars(statement)).all()
    assert everyone == {student.id for student in scenario.school.students}
    assert visible_to_school == []
