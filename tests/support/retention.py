"""Check-ins, cases and runs for tests of retention."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from backend.core.evidence import EvidenceStore
from backend.core.ids import new_id
from backend.identity.consents import FACE_USE, AnswerConsent, answer_consent
from backend.identity.policy import province_policy
from backend.retention.deletion import delete_expired
from backend.retention.tables import RetentionRun
from backend.retention.tasks import KINDS
from backend.roll_call.outcomes import OutcomeDecision, find_current_outcome, write_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall, Submission, VerdictRecord
from backend.standing.store.tables import (
    AppealDecided,
    AppealFiled,
)
from tests.support.pictures import picture_exists
from tests.support.roll_call.scenario import WINDOW, RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone

DAY = timedelta(days=1)


async def run_retention(
    scenario: RollCallScenario, after: timedelta = timedelta()
) -> dict[str, RetentionRun]:
    """Advance the clock and run retention. Returns the recorded runs by kind."""
    scenario.clock.at += after
    return {run.kind: run for run in await delete_expired(scenario.app_context, KINDS)}


async def revoke_face_consent(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    """Revoke the consent to use the face, as the phone does."""
    law = province_policy(scenario.app_context, scenario.clock())
    answer = AnswerConsent(FACE_USE, granted=False, text_version="face-use-1", guardian_name=None)
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        await answer_consent(session, student.actor, answer, law, scenario.clock())


async def check_in_present(scenario: RollCallScenario, student: StudentWithPhone) -> UUID:
    """A check-in that was accepted, in a settled roll call."""
    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    await record_present(scenario, student, launched.roll_call)
    await close_roll_call(scenario, launched.roll_call)
    return submission_id


async def record_present(scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall) -> None:
    """Write the outcome of an accepted check-in, as verification does."""
    async with scenario.owner_transaction() as session:
        obligation = await session.get_one(Obligation, (roll_call.id, student.student_id))
        earlier = await find_current_outcome(session, roll_call.id, student.student_id)
        found = OutcomeDecision(Outcome.PRESENT, "verified", "face")
        assert await write_outcome(session, roll_call, obligation, found, scenario.clock(), replaces=earlier)


async def check_in_missed(scenario: RollCallScenario, student: StudentWithPhone) -> UUID:
    """A check-in from another place, which settlement counted as missed."""
    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    verdict = VerdictRecord(
        submission_id=submission_id,
        roll_call_id=launched.roll_call.id,
        term_code=launched.roll_call.term_code,
        **student_columns(student),
        finding="rejected",
        reasons=["outside_site"],
        trace={},
        at=scenario.clock(),
    )
    await add_rows(scenario, verdict)
    await close_roll_call(scenario, launched.roll_call)
    return submission_id


async def check_in_undetermined(
    scenario: RollCallScenario, student: StudentWithPhone
) -> tuple[UUID, RollCall]:
    """A check-in without a verdict."""
    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    await close_roll_call(scenario, launched.roll_call)
    return submission_id, launched.roll_call


async def close_roll_call(scenario: RollCallScenario, roll_call: RollCall) -> None:
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(roll_call)


async def has_frames(scenario: RollCallScenario, submission_id: UUID) -> bool:
    """Whether the frames exist. Row and evidence store must agree."""
    async with scenario.owner_transaction() as session:
        row = await session.get_one(Submission, submission_id)
    files = [
        await picture_exists(scenario.app_context, row.frame(number)) for number in range(row.frame_count)
    ]
    assert all(files) or not any(files)
    assert (row.frames_deleted_at is None) == all(files)
    return all(files)


async def evidence_exists(evidence: EvidenceStore, key: str) -> bool:
    try:
        return bool(await evidence.get(key))
    except FileNotFoundError:
        return False


async def add_rows(scenario: RollCallScenario, *rows: Any) -> None:
    """Add rows of other packages, in this order."""
    async with scenario.owner_transaction() as session:
        for row in rows:
            session.add(row)
            await session.flush()


def student_columns(student: StudentWithPhone) -> dict[str, Any]:
    return {"school_id": student.actor.school_id, "student_id": student.student_id}


def make_appeal(student: StudentWithPhone, at: datetime) -> AppealFiled:
    return AppealFiled(
        id=new_id(),
        **student_columns(student),
        appellant="student",
        target="change",
        target_id=str(new_id()),
        filed_by=new_id(),
        filed_at=at,
    )


def make_appeal_decision(appeal: AppealFiled, at: datetime, *, upheld: bool) -> AppealDecided:
    return AppealDecided(
        appeal_id=appeal.id,
        school_id=appeal.school_id,
        student_id=appeal.student_id,
        upheld=upheld,
        finding="present",
        reasons="已核实",
        filed_by=appeal.filed_by,
        decided_by=new_id(),
        at=at,
    )
