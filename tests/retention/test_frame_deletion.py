"""Frames are deleted after their retention period unless an open case needs them (THREATS 18 and 19)."""

from datetime import datetime

import pytest

from backend.core.ids import new_id
from backend.roll_call.tables import Submission, SubmissionFrame
from backend.standing.store.tables import (
    AppealWithdrawn,
    ClaimDecision,
    PromptRecord,
    PromptStep,
    ReasonClaimRecord,
)
from tests.support.pictures import picture_exists
from tests.support.retention import (
    DAY,
    add_rows,
    check_in_missed,
    check_in_present,
    check_in_undetermined,
    has_frames,
    make_appeal,
    make_appeal_decision,
    record_present,
    revoke_face_consent,
    run_retention,
    student_columns,
)
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone


async def test_frames_of_present_students_are_deleted_after_a_week(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_present(scenario, student)
    await run_retention(scenario, 6 * DAY)
    assert await has_frames(scenario, submission_id)
    await run_retention(scenario, DAY)
    assert not await has_frames(scenario, submission_id)


@pytest.mark.clause("HN334-4.2")
async def test_frames_of_a_miss_are_kept_for_the_appeal_period(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_missed(scenario, student)
    await run_retention(scenario, 29 * DAY)
    assert await has_frames(scenario, submission_id)
    await run_retention(scenario, DAY)
    assert not await has_frames(scenario, submission_id)


@pytest.mark.clause("HN334-4.2")
async def test_undetermined_frames_are_kept_until_after_the_decision(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id, roll_call = await check_in_undetermined(scenario, student)
    await run_retention(scenario, 90 * DAY)
    assert await has_frames(scenario, submission_id)
    await record_present(scenario, student, roll_call)
    await run_retention(scenario, 6 * DAY)
    assert await has_frames(scenario, submission_id)
    await run_retention(scenario, 2 * DAY)
    assert not await has_frames(scenario, submission_id)


async def test_frames_are_deleted_at_once_after_a_withdrawn_consent(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    """Those of a student who was present: a miss keeps them, as evidence for the student's own appeal."""
    present, missed = (
        await check_in_present(scenario, student),
        await check_in_missed(scenario, student),
    )
    await revoke_face_consent(scenario, student)
    await run_retention(scenario)
    assert not await has_frames(scenario, present)
    assert await has_frames(scenario, missed)


async def test_file_of_an_interrupted_upload_is_deleted(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    """The file exists without its row."""
    submission_id = await check_in_missed(scenario, student)
    async with scenario.owner_transaction() as session:
        row = await session.get_one(Submission, submission_id)
        frame = await session.get_one(SubmissionFrame, (submission_id, 3))
        await session.delete(frame)
    assert await picture_exists(scenario.app_context, row.frame(3))
    await run_retention(scenario, 31 * DAY)
    assert not await has_frames(scenario, submission_id)


@pytest.mark.clause("HN334-4.2")
@pytest.mark.parametrize(("upheld", "days"), [(True, 7), (False, 30)])
async def test_appeal_keeps_all_frames_until_it_is_final(
    scenario: RollCallScenario, student: StudentWithPhone, upheld: bool, days: int
) -> None:
    """A rejected appeal may go to the higher authority; an upheld one is final."""
    present_id, missed_id = (
        await check_in_present(scenario, student),
        await check_in_missed(scenario, student),
    )
    appeal = make_appeal(student, scenario.clock())
    await add_rows(scenario, appeal)
    await run_retention(scenario, 60 * DAY)
    assert await has_frames(scenario, present_id)
    assert await has_frames(scenario, missed_id)
    await add_rows(scenario, make_appeal_decision(appeal, scenario.clock(), upheld=upheld))
    await run_retention(scenario, (days - 1) * DAY)
    assert await has_frames(scenario, present_id)
    await run_retention(scenario, DAY)
    assert not await has_frames(scenario, present_id)
    assert not await has_frames(scenario, missed_id)


async def test_withdrawn_appeal_keeps_frames_for_a_week(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id, appeal = (
        await check_in_missed(scenario, student),
        make_appeal(student, scenario.clock()),
    )
    await add_rows(scenario, appeal)
    scenario.clock.at += 40 * DAY
    withdrawal = AppealWithdrawn(
        appeal_id=appeal.id, **student_columns(student), withdrawn_by=appeal.filed_by, at=scenario.clock()
    )
    await add_rows(scenario, withdrawal)
    await run_retention(scenario, 6 * DAY)
    assert await has_frames(scenario, submission_id)
    await run_retention(scenario, DAY)
    assert not await has_frames(scenario, submission_id)


async def test_claim_keeps_frames_until_a_month_after_its_decision(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id, roll_call = await check_in_undetermined(scenario, student)
    claim = ReasonClaimRecord(
        id=new_id(),
        roll_call_id=roll_call.id,
        **student_columns(student),
        reason="illness",
        text="发烧",
        filed_by=new_id(),
        filed_at=scenario.clock(),
    )
    await add_rows(scenario, claim)
    await record_present(scenario, student, roll_call)
    await run_retention(scenario, 40 * DAY)
    assert await has_frames(scenario, submission_id)
    answer = ClaimDecision(
        claim_id=claim.id,
        **student_columns(student),
        accepted=False,
        opinion="无证明",
        filed_by=claim.filed_by,
        decided_by=new_id(),
        at=scenario.clock(),
    )
    await add_rows(scenario, answer)
    await run_retention(scenario, 29 * DAY)
    assert await has_frames(scenario, submission_id)
    await run_retention(scenario, DAY)
    assert not await has_frames(scenario, submission_id)


async def test_prompt_keeps_frames_until_a_month_after_it_is_closed(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id, at = await check_in_missed(scenario, student), scenario.clock()
    prompt = PromptRecord(
        id=new_id(),
        **student_columns(student),
        kind="misses",
        term_code="2026-autumn",
        grounds=[],
        evidence=[],
        event_day=at.date(),
        raised_at=at,
        proposed="withdrawal",
        policy_version="x",
        trace={},
    )
    await add_rows(scenario, prompt, make_prompt_step(prompt, 1, at))
    await run_retention(scenario, 40 * DAY)
    assert await has_frames(scenario, submission_id)
    await add_rows(scenario, make_prompt_step(prompt, 2, scenario.clock(), closed=True))
    await run_retention(scenario, 29 * DAY)
    assert await has_frames(scenario, submission_id)
    await run_retention(scenario, DAY)
    assert not await has_frames(scenario, submission_id)


def make_prompt_step(prompt: PromptRecord, seq: int, at: datetime, *, closed: bool = False) -> PromptStep:
    return PromptStep(
        prompt_id=prompt.id,
        seq=seq,
        school_id=prompt.school_id,
        student_id=prompt.student_id,
        state="dismissed" if closed else "running",
        blockers=[],
        closed_at=at if closed else None,
        closed_by="decision" if closed else None,
        at=at,
    )


async def test_case_of_another_student_keeps_nothing(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    other = await scenario.activate(scenario.school.students[1])
    submission_id = await check_in_missed(scenario, student)
    await add_rows(scenario, make_appeal(other, scenario.clock()))
    await run_retention(scenario, 31 * DAY)
    assert not await has_frames(scenario, submission_id)
