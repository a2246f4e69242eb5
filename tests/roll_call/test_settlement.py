"""The close: everyone gets one outcome, nobody who sent something in time is simply absent."""

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
from backend.roll_call.check_in.evaluate import Received, receive_batch
from backend.roll_call.eligibility import Refused
from backend.roll_call.outcomes import lock_roll_call_exclusive
from backend.roll_call.oversight import void_roll_call
from backend.roll_call.settlement import tasks
from backend.roll_call.settlement.service import compare_counters, resettle_submission, settle_roll_call
from backend.roll_call.settlement.tasks import run_due
from backend.roll_call.tables import OutcomeCountPending, RollCall, RollCallStep
from tests.support.roll_call.scenario import GRACE, MICROSECOND, Stage, job_of
from tests.support.roll_call.student_phone import OUTSIDE, Candidate, arrival, burst, envelope, fixes

pytestmark = pytest.mark.clause("HN334-3.4")

SECOND = timedelta(seconds=1)


async def close(stage: Stage, roll_call: RollCall, after: timedelta = MICROSECOND) -> dict[str, int]:
    """Settle so long after the close, and check that the sums add up."""
    stage.clock.at = roll_call.closes_at + after
    settlement = await stage.settle(roll_call)
    if not settlement.waiting_for:
        balanced(settlement.figures)
    return settlement.figures


def balanced(figures: dict[str, int]) -> None:
    parts = sum(figures[name] for name in ("present", "missed", "excused", "undetermined"))
    assert parts == figures["obligations"]


async def someone(stage: Stage, number: int = 0) -> Candidate:
    return await stage.activate(stage.school.students[number])


async def test_whoever_was_found_present_is_present_and_the_silent_missed(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    verdict = await stage.pass_check(candidate, launched.roll_call.id)
    assert (verdict.finding, verdict.reasons) == ("accepted", ["verified"])
    figures = await close(stage, launched.roll_call)
    assert figures == {"obligations": 6, "present": 1, "missed": 5, "excused": 0, "undetermined": 0}
    assert await stage.outcome(launched.roll_call.id, candidate) == ("present", "verified")


async def test_nothing_is_settled_before_the_window_has_closed(stage: Stage) -> None:
    launched = await stage.launch()
    assert await close(stage, launched.roll_call, timedelta()) == {}
    assert await stage.outcomes(launched.roll_call.id) == {}


async def test_the_close_waits_for_an_in_time_submission_that_is_unjudged(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    assert await close(stage, launched.roll_call) == {}
    assert await stage.outcomes(launched.roll_call.id) == {}
    await stage.verify(submission_id)
    assert (await close(stage, launched.roll_call, 2 * MICROSECOND))["present"] == 1


async def test_the_close_waits_for_nobody_who_is_present_already(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    await stage.submit(candidate, launched.roll_call.id, burst(candidate.person, first=10))
    await stage.pass_check(candidate, launched.roll_call.id)
    assert (await close(stage, launched.roll_call))["present"] == 1


@pytest.mark.parametrize("uploaded", [0, 1])
async def test_overdue_frames_are_sent_to_verification_and_end_undetermined(
    stage: Stage, uploaded: int
) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    frames = burst(candidate.person)
    received = await stage.submit(candidate, launched.roll_call.id, frames)
    for position in range(uploaded):
        await stage.upload(candidate, received.submission_id, position, frames[position])
    submission_id = received.submission_id
    assert await close(stage, launched.roll_call) == {}
    assert await stage.task(submission_id) is not None
    assert await close(stage, launched.roll_call, 2 * SECOND) == {}
    verdict = await stage.verify(submission_id)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["frames_missing"])
    assert (await close(stage, launched.roll_call, 3 * SECOND))["undetermined"] == 1
    assert await stage.outcome(launched.roll_call.id, candidate) == ("undetermined", "frames_missing")


async def test_several_overdue_submissions_are_each_sent_once_however_often_the_clock_looks(
    stage: Stage,
) -> None:
    launched = await stage.launch()
    sent = [
        (await stage.submit(await someone(stage, number), launched.roll_call.id)).submission_id
        for number in range(3)
    ]
    for look in range(1, 4):
        assert await close(stage, launched.roll_call, look * SECOND) == {}
    tasks = [await stage.task(each) for each in sent]
    assert [task and (task.state, task.enqueued_at) for task in tasks] == [
        ("waiting", launched.roll_call.closes_at + SECOND)
    ] * 3


async def test_frames_that_may_still_come_are_not_hurried(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    stage.clock.at = launched.roll_call.closes_at
    received = await stage.submit(candidate, launched.roll_call.id)
    assert received.frames_due_at == launched.roll_call.closes_at + GRACE
    assert await close(stage, launched.roll_call, GRACE) == {}
    assert await stage.task(received.submission_id) is None


async def test_a_broken_worker_keeps_nobody_waiting_for_ever_and_makes_no_miss(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    assert await close(stage, launched.roll_call, 2 * GRACE) == {}
    figures = await close(stage, launched.roll_call, 2 * GRACE + MICROSECOND)
    assert figures["undetermined"] == 1
    assert await stage.outcome(launched.roll_call.id, candidate) == (
        "undetermined",
        "verification_pending",
    )
    await stage.verify(submission_id)
    assert await stage.outcome(launched.roll_call.id, candidate) == ("present", "verified")
    (changed,) = await stage.events("OutcomeChanged", launched.roll_call.id)
    assert (changed.payload["outcome"], changed.payload["seq"]) == ("present", 2)


async def test_a_rejection_at_the_fence_is_final_and_a_face_mismatch_is_not(stage: Stage) -> None:
    launched = await stage.launch()
    away, stranger = await someone(stage), await someone(stage, 1)
    outside = await stage.check_in(away, launched.roll_call.id, fixes=fixes(OUTSIDE))
    assert (await stage.verify(outside)).reasons == ["outside_site"]
    other = await stage.check_in(replace(stranger, person=stranger.person + 1), launched.roll_call.id)
    assert (await stage.verify(other)).reasons == ["face_mismatch"]
    await close(stage, launched.roll_call)
    assert await stage.outcome(launched.roll_call.id, away) == ("missed", "outside_site")
    assert await stage.outcome(launched.roll_call.id, stranger) == ("undetermined", "face_mismatch")


async def test_two_settlements_at_once_are_one(stage: Stage) -> None:
    launched = await stage.launch()
    await stage.pass_check(await someone(stage), launched.roll_call.id)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    one, other = await asyncio.gather(*(stage.settle(launched.roll_call) for _ in range(2)))
    assert one == other
    balanced(one.figures)
    assert len(await stage.events("RollCallSettled", launched.roll_call.id)) == 1


async def test_the_settlement_waits_for_an_envelope_that_is_being_stored(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    roll_call = launched.roll_call
    stage.clock.at = roll_call.closes_at
    nonce = await stage.nonce(candidate, roll_call.id)
    signed = envelope(candidate, roll_call.id, nonce, burst(candidate.person))
    arriving = arrival(candidate, roll_call.id, signed, roll_call.closes_at)
    async with stage.app_context.database.transaction(Scope.none()) as session:
        (stored,) = await receive_batch(await driver_connection(session), [arriving], stage.app_context.keys)
        assert isinstance(stored, Received)
        stage.clock.at = roll_call.closes_at + MICROSECOND
        settling = asyncio.create_task(stage.settle(roll_call))
        await stage.blocked()
        assert not settling.done()
    assert (await settling).waiting_for == 1


@pytest.mark.parametrize("first", ["resettle", "verify"])
async def test_who_arrived_in_time_but_was_stored_after_the_settlement_is_never_left_missed(
    stage: Stage, first: str
) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    roll_call = launched.roll_call
    stage.clock.at = roll_call.closes_at
    frames = await stage.answer(candidate, roll_call.id)
    nonce = await stage.nonce(candidate, roll_call.id)
    signed = envelope(candidate, roll_call.id, nonce, frames)
    await close(stage, roll_call)
    assert await stage.outcome(roll_call.id, candidate) == ("missed", "no_check_in")

    received = await stage.send(candidate, roll_call.id, signed, at=roll_call.closes_at)
    assert isinstance(received, Received)
    arguments = {"submission_id": str(received.submission_id), "school_id": str(stage.school.id)}
    assert await stage.jobs("resettle_submission", **arguments) == 1
    for position, data in enumerate(frames):
        await stage.upload(candidate, received.submission_id, position, data)

    async def resettled() -> None:
        await resettle_submission(job_of(stage.app_context), **arguments)

    if first == "resettle":
        await resettled()
        assert await stage.outcome(roll_call.id, candidate) == ("undetermined", "verification_pending")
        await stage.verify(received.submission_id)
    else:
        await stage.verify(received.submission_id)
        await resettled()
    assert await stage.outcome(roll_call.id, candidate) == ("present", "verified")


async def test_a_voided_roll_call_is_never_settled(stage: Stage) -> None:
    launched = await stage.launch()
    roll_call, bureau = launched.roll_call, stage.bureau
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, roll_call.id, "全市停电", stage.clock())
    stage.clock.at = roll_call.closes_at + SECOND
    assert (await stage.settle(roll_call)).figures == {}
    await run_due(stage.app_context)
    async with stage.arrange() as session:
        assert await session.get(RollCallStep, (roll_call.id, "settled")) is None
    outcomes = await stage.outcomes(roll_call.id)
    assert {entry.outcome for entry in outcomes.values()} == {"excused"}
    assert len(outcomes) == launched.owed


async def test_a_verdict_after_the_voiding_changes_nothing(stage: Stage) -> None:
    launched = await stage.launch()
    candidate, bureau = await someone(stage), stage.bureau
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "全市停电", stage.clock())
    assert (await stage.verify(submission_id)).finding == "accepted"
    assert await stage.outcome(launched.roll_call.id, candidate) == ("excused", "voided")


@pytest.mark.clause("HN334-2.2")
async def test_part_time_students_get_no_outcome_at_all(stage: Stage) -> None:
    part_time = stage.school.students[0]
    await _study_part_time(stage, part_time.id)
    launched = await stage.launch()
    figures = await close(stage, launched.roll_call)
    assert figures["obligations"] == 5
    assert part_time.id not in await stage.outcomes(launched.roll_call.id)


async def _study_part_time(stage: Stage, student_id: UUID) -> None:
    async with stage.arrange() as session:
        (await session.get_one(Student, student_id)).study_form = "part_time"


@pytest.mark.clause("R8")
async def test_nobody_missed_a_roll_call_that_was_never_announced(stage: Stage) -> None:
    launched = await stage.launch(told=False)
    figures = await close(stage, launched.roll_call)
    assert (figures["missed"], figures["undetermined"]) == (0, 6)
    assert {entry.reason for entry in (await stage.outcomes(launched.roll_call.id)).values()} == {
        "not_announced"
    }


async def test_the_clock_settles_what_is_due_once(stage: Stage) -> None:
    launched = await stage.launch()
    await stage.serve(launched.roll_call)
    stage.clock.at = launched.roll_call.closes_at + SECOND
    await run_due(stage.app_context)
    await run_due(stage.app_context)
    assert len(await stage.events("RollCallSettled", launched.roll_call.id)) == 1


async def test_one_roll_call_that_cannot_be_settled_keeps_no_other_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = await stage.launch()
    sound = await stage.launch(
        opens_at=broken.roll_call.closes_at + SECOND, closes_at=broken.roll_call.closes_at + 7200 * SECOND
    )

    await stage.serve(broken.roll_call)

    async def close_one(session: Any, roll_call_id: UUID, at: Any) -> object:
        if roll_call_id == broken.roll_call.id:
            msg = "does not balance"
            raise RuntimeError(msg)
        return await settle_roll_call(session, roll_call_id, at)

    monkeypatch.setitem(tasks._STEPS, "close", close_one)
    stage.clock.at = sound.roll_call.closes_at + SECOND
    with pytest.raises(ExceptionGroup):
        await run_due(stage.app_context)
    assert len(await stage.events("RollCallSettled", sound.roll_call.id)) == 1
    monkeypatch.undo()
    await run_due(stage.app_context)
    assert len(await stage.events("RollCallSettled", broken.roll_call.id)) == 1


async def test_a_verdict_that_meets_a_settlement_out_of_patience_is_not_lost(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await someone(stage)
    roll_call = launched.roll_call
    submission_id = await stage.check_in(candidate, roll_call.id)
    stage.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    async with stage.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
        assert (await settle_roll_call(session, roll_call.id, stage.clock())).figures["undetermined"] == 1
        verifying = asyncio.create_task(stage.verify(submission_id))
        await stage.blocked()
        assert not verifying.done()
    assert (await verifying).finding == "accepted"
    assert await stage.outcome(roll_call.id, candidate) == ("present", "verified")


@pytest.mark.clause("R8")
async def test_nobody_missed_a_roll_call_whose_notice_came_shortly_before_its_close(stage: Stage) -> None:
    launched = await stage.launch(told=False)
    candidate = await someone(stage)
    stage.clock.at = launched.roll_call.closes_at - timedelta(minutes=5)
    assert await stage.announce(launched.roll_call) > 0
    await stage.pass_check(candidate, launched.roll_call.id)
    figures = await close(stage, launched.roll_call)
    assert (figures["present"], figures["missed"], figures["undetermined"]) == (1, 0, 5)


@pytest.mark.clause("R8")
async def test_a_roll_call_that_has_closed_is_announced_to_nobody(stage: Stage) -> None:
    launched = await stage.launch(told=False)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    assert await stage.announce(launched.roll_call) == 0
    assert (await close(stage, launched.roll_call))["undetermined"] == 6


async def test_who_asked_for_the_way_without_a_face_and_met_nobody_is_undetermined(stage: Stage) -> None:
    launched = await stage.launch()
    asked = await stage.activate(stage.school.students[0], face=False)
    silent = await stage.activate(stage.school.students[1], face=False)
    assert isinstance(await stage.challenge(asked, launched.roll_call.id), Refused)
    await close(stage, launched.roll_call)
    assert await stage.outcome(launched.roll_call.id, asked) == ("undetermined", "non_face_route_unattended")
    assert await stage.outcome(launched.roll_call.id, silent) == ("missed", "no_check_in")


async def test_a_step_that_another_worker_is_taking_holds_up_nobody(stage: Stage) -> None:
    launched = await stage.launch()
    await stage.serve(launched.roll_call)
    stage.clock.at = launched.roll_call.closes_at + SECOND
    async with stage.arrange() as session:
        await lock_roll_call_exclusive(session, launched.roll_call.id)
        slow = asyncio.create_task(run_due(stage.app_context))
        await stage.blocked()
        await run_due(stage.app_context)
        assert not slow.done()
    await slow
    assert len(await stage.events("RollCallSettled", launched.roll_call.id)) == 1


def test_settling_again_who_was_in_time_is_never_given_up() -> None:
    strategy = resettle_submission.retry_strategy
    assert strategy is not None
    job = cast("Any", SimpleNamespace(attempts=1000))
    assert strategy.get_retry_decision(exception=RuntimeError(), job=job) is not None


async def test_sums_that_the_outcomes_do_not_bear_out_are_reported(stage: Stage) -> None:
    launched = await stage.launch()
    await close(stage, launched.roll_call)
    payload = {"roll_call_id": str(launched.roll_call.id), "path": launched.roll_call.launcher_path}
    await compare_counters(job_of(stage.app_context), **payload)
    async with stage.arrange() as session:
        one_more = update(OutcomeCountPending).where(
            OutcomeCountPending.roll_call_id == launched.roll_call.id
        )
        await session.execute(one_more.values(missed=OutcomeCountPending.missed + 1))
    with pytest.raises(RuntimeError, match="dianming progress check"):
        await compare_counters(job_of(stage.app_context), **payload)


def test_only_a_database_that_is_away_lets_the_sums_be_compared_again() -> None:
    strategy = compare_counters.retry_strategy
    assert strategy is not None
    job = cast("Any", SimpleNamespace(attempts=1000))
    away, wrong = OperationalError(None, None, ConnectionError()), ProgrammingError(None, None, ValueError())
    assert strategy.get_retry_decision(exception=away, job=job) is not None
    for mistake in (RuntimeError(), wrong):
        assert strategy.get_retry_decision(exception=mistake, job=job) is None


async def test_who_is_still_open_is_shown_to_the_launcher_alone(stage: Stage) -> None:
    launched = await stage.launch()
    asked = text("SELECT student_id FROM definer.open_obligations(:id)").bindparams(id=launched.roll_call.id)
    school = Scope.school(stage.school.id, stage.school.path)
    async with stage.app_context.database.transaction(
        Scope.wide(launched.roll_call.launcher_path)
    ) as session:
        everyone = set(await session.scalars(asked))
    async with stage.app_context.database.transaction(school) as session:
        seen_by_the_school = (await session.scalars(asked)).all()
    assert everyone == {student.id for student in stage.school.students}
    assert seen_by_the_school == []
