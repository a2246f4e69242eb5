"""Envelopes with positions, and positions of attesters, go after their period; a case keeps what it refers to."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import ProgrammingError

from backend.core.errors import Conflict
from backend.core.ids import new_id
from backend.retention.positions import delete_attester_positions, delete_envelopes
from backend.roll_call.outcomes import OutcomeDecision, write_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import (
    Attestation,
    Obligation,
    RollCall,
    Submission,
    VerdictRecord,
    VerificationTask,
)
from backend.roll_call.verification.dead_letters import retry_all_dead_letters, retry_dead_letter
from backend.standing.engine.facts import check_key
from backend.standing.store.tables import (
    AppealFiled,
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
    close_roll_call,
    has_frames,
    make_appeal,
    make_appeal_decision,
    record_present,
    run_retention,
    student_columns,
)
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone

pytestmark = pytest.mark.clause("HN334-3.4")


async def load_submission(scenario: RollCallScenario, submission_id: UUID) -> Submission:
    async with scenario.owner_transaction() as session:
        row: Submission = await session.get_one(Submission, submission_id)
    return row


async def has_envelope(scenario: RollCallScenario, submission_id: UUID) -> bool:
    """Whether the envelope exists. It and the recorded time must agree."""
    row = await load_submission(scenario, submission_id)
    assert (row.envelope != "") == (row.envelope_deleted_at is None)
    return row.envelope != ""


async def test_envelope_of_a_present_student_goes_after_a_month(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_present(scenario, student)
    before = await load_submission(scenario, submission_id)
    await run_retention(scenario, 29 * DAY)
    assert await has_envelope(scenario, submission_id)
    run = (await run_retention(scenario, DAY))["envelopes"]
    assert not await has_envelope(scenario, submission_id)
    after = await load_submission(scenario, submission_id)
    assert (run.items, run.files, run.size_bytes) == (1, 0, len(before.envelope))
    assert (after.envelope_digest, after.receipt) == (before.envelope_digest, before.receipt)
    assert (await run_retention(scenario))["envelopes"].items == 0


async def test_envelope_of_a_miss_is_kept_for_half_a_year(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_missed(scenario, student)
    await run_retention(scenario, 184 * DAY)
    assert await has_envelope(scenario, submission_id)
    assert not await has_frames(scenario, submission_id)
    await run_retention(scenario, DAY)
    assert not await has_envelope(scenario, submission_id)
    async with scenario.owner_transaction() as session:
        assert await session.get(VerdictRecord, submission_id) is not None


async def test_undetermined_result_keeps_the_envelope(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id, roll_call = await check_in_undetermined(scenario, student)
    await run_retention(scenario, 400 * DAY)
    assert await has_envelope(scenario, submission_id)
    await record_present(scenario, student, roll_call)
    await run_retention(scenario, 30 * DAY)
    assert not await has_envelope(scenario, submission_id)


async def test_undetermined_rehearsal_keeps_neither_pictures_nor_position(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    """Nothing follows from it, so no person determines it, and it would be kept without end."""
    launched = await scenario.launch(scenario.registrar, kind="rehearsal")
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    await close_roll_call(scenario, launched.roll_call)
    outcome = await scenario.outcome(launched.roll_call.id, student)
    assert outcome is not None
    assert outcome[0] == "undetermined"
    await run_retention(scenario, 6 * DAY)
    assert await has_frames(scenario, submission_id)
    await run_retention(scenario, DAY)
    assert not await has_frames(scenario, submission_id)
    await run_retention(scenario, 23 * DAY)
    assert not await has_envelope(scenario, submission_id)


def make_prompt(student: StudentWithPhone, scenario: RollCallScenario, *cited: UUID) -> list[object]:
    """A prompt that cites roll calls, and was dismissed at once."""
    at = scenario.clock()
    prompt = PromptRecord(
        id=new_id(),
        **student_columns(student),
        kind="misses",
        term_code="2026-autumn",
        grounds=[],
        evidence=[check_key(str(each)) for each in cited],
        event_day=at.date(),
        raised_at=at,
        proposed="withdrawal",
        policy_version="x",
        trace={},
    )
    step = PromptStep(
        prompt_id=prompt.id,
        seq=1,
        **student_columns(student),
        state="dismissed",
        blockers=[],
        closed_at=at,
        closed_by="decision",
        at=at,
    )
    return [prompt, step]


@pytest.mark.clause("HN334-4.1b")
async def test_prompt_keeps_the_envelopes_that_it_cites_and_no_others(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    cited, other = await check_in_missed(scenario, student), await check_in_missed(scenario, student)
    roll_call_id = (await load_submission(scenario, cited)).roll_call_id
    await add_rows(scenario, *make_prompt(student, scenario, roll_call_id))
    await run_retention(scenario, 400 * DAY)
    assert await has_envelope(scenario, cited)
    assert not await has_envelope(scenario, other)


@pytest.mark.clause("HN334-4.2")
async def test_appeal_against_a_result_keeps_its_envelope(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    appealed, other = await check_in_missed(scenario, student), await check_in_missed(scenario, student)
    appeal = AppealFiled(
        id=new_id(),
        **student_columns(student),
        appellant="student",
        target="check",
        target_id=str((await load_submission(scenario, appealed)).roll_call_id),
        filed_by=new_id(),
        filed_at=scenario.clock(),
    )
    await add_rows(
        scenario, appeal, make_appeal_decision(appeal, scenario.clock() + timedelta(1), upheld=False)
    )
    await run_retention(scenario, 400 * DAY)
    assert await has_envelope(scenario, appealed)
    assert not await has_envelope(scenario, other)


async def test_claim_about_a_miss_keeps_its_envelope(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    claimed = await check_in_missed(scenario, student)
    claim = ReasonClaimRecord(
        id=new_id(),
        roll_call_id=(await load_submission(scenario, claimed)).roll_call_id,
        **student_columns(student),
        reason="illness",
        text="发烧",
        filed_by=new_id(),
        filed_at=scenario.clock(),
    )
    answer = ClaimDecision(
        claim_id=claim.id,
        **student_columns(student),
        accepted=False,
        opinion="无证明",
        filed_by=claim.filed_by,
        decided_by=new_id(),
        at=scenario.clock(),
    )
    await add_rows(scenario, claim, answer)
    await run_retention(scenario, 400 * DAY)
    assert await has_envelope(scenario, claimed)


async def test_open_case_keeps_every_envelope_of_the_student(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_present(scenario, student)
    await add_rows(scenario, make_appeal(student, scenario.clock()))
    await run_retention(scenario, 400 * DAY)
    assert await has_envelope(scenario, submission_id)


async def test_case_that_arrives_during_a_run_keeps_the_envelope(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_missed(scenario, student)
    roll_call_id = (await load_submission(scenario, submission_id)).roll_call_id
    await add_rows(scenario, *make_prompt(student, scenario, roll_call_id))
    async with scenario.owner_transaction() as session:
        assert await delete_envelopes(session, [submission_id], scenario.clock()) == []
    assert await has_envelope(scenario, submission_id)


async def test_application_cannot_change_an_envelope_s_digest_or_receipt(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_present(scenario, student)
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
            await session.execute(
                update(Submission).where(Submission.id == submission_id).values(receipt="x")
            )


async def test_dead_letter_whose_envelope_is_gone_cannot_be_retried(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_present(scenario, student)
    roll_call_id = (await load_submission(scenario, submission_id)).roll_call_id
    async with scenario.owner_transaction() as session:
        await session.execute(
            update(VerificationTask)
            .where(VerificationTask.submission_id == submission_id)
            .values(state="dead", died_at=scenario.clock())
        )
    await run_retention(scenario, 30 * DAY)
    assert not await has_envelope(scenario, submission_id)
    bureau, at = scenario.bureau, scenario.clock()
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        with pytest.raises(Conflict, match="was deleted"):
            await retry_dead_letter(session, bureau, submission_id, at)
        assert await retry_all_dead_letters(session, bureau, roll_call_id, at) == 0


# --- attesters ---


async def attest(scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall) -> None:
    """Record an attestation with its outcome, as the counselor's request does."""
    async with scenario.owner_transaction() as session:
        obligation = await session.get_one(Obligation, (roll_call.id, student.student_id))
        session.add(
            Attestation(
                roll_call_id=roll_call.id,
                term_code=roll_call.term_code,
                **student_columns(student),
                class_id=obligation.class_id,
                site_version_id=new_id(),
                reason_code="phone_broken",
                reason="手机损坏",
                attested_by=new_id(),
                session_id=new_id(),
                position={"lon": 113.53, "lat": 34.82},
                sampled=False,
                at=scenario.clock(),
            )
        )
        found = OutcomeDecision(Outcome.PRESENT, "attested_on_site", "attested")
        assert await write_outcome(session, roll_call, obligation, found, scenario.clock(), replaces=None)
    await close_roll_call(scenario, roll_call)


async def load_attestation(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall
) -> Attestation:
    async with scenario.owner_transaction() as session:
        row: Attestation = await session.get_one(Attestation, (roll_call.id, student.student_id))
    return row


async def test_position_of_the_attester_goes_after_half_a_year(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    roll_call = (await scenario.launch()).roll_call
    await attest(scenario, student, roll_call)
    await run_retention(scenario, 184 * DAY)
    assert (await load_attestation(scenario, student, roll_call)).position != {}
    assert (await run_retention(scenario, DAY))["attester_positions"].items == 1
    row = await load_attestation(scenario, student, roll_call)
    assert (row.position, row.position_deleted_at, row.reason) == ({}, scenario.clock(), "手机损坏")
    assert (await run_retention(scenario))["attester_positions"].items == 0


async def test_case_keeps_the_position_of_the_attester(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    roll_call = (await scenario.launch()).roll_call
    await attest(scenario, student, roll_call)
    await add_rows(scenario, *make_prompt(student, scenario, roll_call.id))
    await run_retention(scenario, 400 * DAY)
    assert (await load_attestation(scenario, student, roll_call)).position != {}
    async with scenario.owner_transaction() as session:
        key = roll_call.id, student.student_id
        assert await delete_attester_positions(session, [key], scenario.clock()) == set()


async def test_columns_beside_the_position_cannot_be_changed(scenario: RollCallScenario) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
            await session.execute(text("UPDATE attestation SET reason = 'x'"))


async def test_envelopes_of_other_schools_are_untouched_by_a_school_s_scope(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_present(scenario, student)
    sister = scenario.world.sister
    async with scenario.app_context.database.transaction(
        scenario.registrar.scope.school(sister.id, sister.path)
    ) as session:
        assert list(await session.scalars(select(Submission.id).where(Submission.id == submission_id))) == []
        assert await delete_envelopes(session, [submission_id], scenario.clock()) == []
    assert await has_envelope(scenario, submission_id)
