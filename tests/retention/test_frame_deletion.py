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
from tests.support.retention import (
    DAY,
    add_rows,
    check_in_missed,
    check_in_present,
    check_in_undetermined,
    evidence_exists,
    has_frames,
    make_appeal,
    make_appeal_decision,
    record_present,
    run_retention,
    student_columns,
)
from tests.support.roll_call.scenario import Stage
from tests.support.roll_call.student_phone import Candidate


async def test_frames_of_present_students_are_deleted_after_a_week(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id = await check_in_present(stage, candidate)
    await run_retention(stage, 6 * DAY)
    assert await has_frames(stage, submission_id)
    await run_retention(stage, DAY)
    assert not await has_frames(stage, submission_id)


@pytest.mark.clause("HN334-4.2")
async def test_frames_of_a_miss_are_kept_for_the_appeal_period(stage: Stage, candidate: Candidate) -> None:
    submission_id = await check_in_missed(stage, candidate)
    await run_retention(stage, 29 * DAY)
    assert await has_frames(stage, submission_id)
    await run_retention(stage, DAY)
    assert not await has_frames(stage, submission_id)


@pytest.mark.clause("HN334-4.2")
async def test_undetermined_frames_are_kept_until_after_the_decision(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id, roll_call = await check_in_undetermined(stage, candidate)
    await run_retention(stage, 90 * DAY)
    assert await has_frames(stage, submission_id)
    await record_present(stage, candidate, roll_call)
    await run_retention(stage, 6 * DAY)
    assert await has_frames(stage, submission_id)
    await run_retention(stage, 2 * DAY)
    assert not await has_frames(stage, submission_id)


async def test_file_of_an_interrupted_upload_is_deleted(stage: Stage, candidate: Candidate) -> None:
    """The file exists without its row."""
    submission_id = await check_in_missed(stage, candidate)
    async with stage.arrange() as session:
        row = await session.get_one(Submission, submission_id)
        frame = await session.get_one(SubmissionFrame, (submission_id, 3))
        await session.delete(frame)
    assert await evidence_exists(stage.app_context.evidence, row.frame_key(3))
    await run_retention(stage, 31 * DAY)
    assert not await has_frames(stage, submission_id)


@pytest.mark.clause("HN334-4.2")
@pytest.mark.parametrize(("upheld", "days"), [(True, 7), (False, 30)])
async def test_appeal_keeps_all_frames_until_it_is_final(
    stage: Stage, candidate: Candidate, upheld: bool, days: int
) -> None:
    """A rejected appeal may go to the higher authority; an upheld one is final."""
    present_id, missed_id = await check_in_present(stage, candidate), await check_in_missed(stage, candidate)
    appeal = make_appeal(candidate, stage.clock())
    await add_rows(stage, appeal)
    await run_retention(stage, 60 * DAY)
    assert await has_frames(stage, present_id)
    assert await has_frames(stage, missed_id)
    await add_rows(stage, make_appeal_decision(appeal, stage.clock(), upheld=upheld))
    await run_retention(stage, (days - 1) * DAY)
    assert await has_frames(stage, present_id)
    await run_retention(stage, DAY)
    assert not await has_frames(stage, present_id)
    assert not await has_frames(stage, missed_id)


async def test_withdrawn_appeal_keeps_frames_for_a_week(stage: Stage, candidate: Candidate) -> None:
    submission_id, appeal = await check_in_missed(stage, candidate), make_appeal(candidate, stage.clock())
    await add_rows(stage, appeal)
    stage.clock.at += 40 * DAY
    withdrawal = AppealWithdrawn(
        appeal_id=appeal.id, **student_columns(candidate), withdrawn_by=appeal.filed_by, at=stage.clock()
    )
    await add_rows(stage, withdrawal)
    await run_retention(stage, 6 * DAY)
    assert await has_frames(stage, submission_id)
    await run_retention(stage, DAY)
    assert not await has_frames(stage, submission_id)


async def test_claim_keeps_frames_until_a_month_after_its_decision(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id, roll_call = await check_in_undetermined(stage, candidate)
    claim = ReasonClaimRecord(
        id=new_id(),
        roll_call_id=roll_call.id,
        **student_columns(candidate),
        reason="illness",
        text="发烧",
        filed_by=new_id(),
        filed_at=stage.clock(),
    )
    await add_rows(stage, claim)
    await record_present(stage, candidate, roll_call)
    await run_retention(stage, 40 * DAY)
    assert await has_frames(stage, submission_id)
    answer = ClaimDecision(
        claim_id=claim.id,
        **student_columns(candidate),
        accepted=False,
        opinion="无证明",
        filed_by=claim.filed_by,
        decided_by=new_id(),
        at=stage.clock(),
    )
    await add_rows(stage, answer)
    await run_retention(stage, 29 * DAY)
    assert await has_frames(stage, submission_id)
    await run_retention(stage, DAY)
    assert not await has_frames(stage, submission_id)


async def test_prompt_keeps_frames_until_a_month_after_it_is_closed(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id, at = await check_in_missed(stage, candidate), stage.clock()
    prompt = PromptRecord(
        id=new_id(),
        **student_columns(candidate),
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
    await add_rows(stage, prompt, make_prompt_step(prompt, 1, at))
    await run_retention(stage, 40 * DAY)
    assert await has_frames(stage, submission_id)
    await add_rows(stage, make_prompt_step(prompt, 2, stage.clock(), closed=True))
    await run_retention(stage, 29 * DAY)
    assert await has_frames(stage, submission_id)
    await run_retention(stage, DAY)
    assert not await has_frames(stage, submission_id)


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


async def test_case_of_another_student_keeps_nothing(stage: Stage, candidate: Candidate) -> None:
    other = await stage.activate(stage.school.students[1])
    submission_id = await check_in_missed(stage, candidate)
    await add_rows(stage, make_appeal(other, stage.clock()))
    await run_retention(stage, 31 * DAY)
    assert not await has_frames(stage, submission_id)
