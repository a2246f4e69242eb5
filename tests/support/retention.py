"""Check-ins, cases and runs for tests of retention."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from backend.core.evidence import EvidenceStore
from backend.core.ids import new_id
from backend.retention.deletion import delete_expired
from backend.retention.tables import RetentionRun
from backend.retention.tasks import KINDS
from backend.roll_call.outcomes import OutcomeDecision, find_current_outcome, write_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall, Submission, Verdict
from backend.standing.store.tables import (
    AppealDecided,
    AppealFiled,
)
from tests.support.roll_call.scenario import WINDOW, Stage
from tests.support.roll_call.student_phone import Candidate

DAY = timedelta(days=1)


async def run_retention(stage: Stage, after: timedelta = timedelta()) -> dict[str, RetentionRun]:
    """Advance the clock and run retention. Returns the recorded runs by kind."""
    stage.clock.at += after
    return {run.kind: run for run in await delete_expired(stage.app_context, KINDS)}


async def check_in_present(stage: Stage, candidate: Candidate) -> UUID:
    """A check-in that was accepted, in a settled roll call."""
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    await record_present(stage, candidate, launched.roll_call)
    await close_roll_call(stage, launched.roll_call)
    return submission_id


async def record_present(stage: Stage, candidate: Candidate, roll_call: RollCall) -> None:
    """Write the outcome of an accepted check-in, as verification does."""
    async with stage.arrange() as session:
        obligation = await session.get_one(Obligation, (roll_call.id, candidate.student_id))
        earlier = await find_current_outcome(session, roll_call.id, candidate.student_id)
        found = OutcomeDecision(Outcome.PRESENT, "verified", "face")
        assert await write_outcome(session, roll_call, obligation, found, stage.clock(), replaces=earlier)


async def check_in_missed(stage: Stage, candidate: Candidate) -> UUID:
    """A check-in from another place, which settlement counted as missed."""
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    verdict = Verdict(
        submission_id=submission_id,
        roll_call_id=launched.roll_call.id,
        term_code=launched.roll_call.term_code,
        **student_columns(candidate),
        finding="rejected",
        reasons=["outside_site"],
        trace={},
        at=stage.clock(),
    )
    await add_rows(stage, verdict)
    await close_roll_call(stage, launched.roll_call)
    return submission_id


async def check_in_undetermined(stage: Stage, candidate: Candidate) -> tuple[UUID, RollCall]:
    """A check-in without a verdict."""
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    await close_roll_call(stage, launched.roll_call)
    return submission_id, launched.roll_call


async def close_roll_call(stage: Stage, roll_call: RollCall) -> None:
    stage.clock.at += WINDOW + timedelta(hours=1)
    await stage.settle(roll_call)


async def has_frames(stage: Stage, submission_id: UUID) -> bool:
    """Whether the frames exist. Row and evidence store must agree."""
    async with stage.arrange() as session:
        row = await session.get_one(Submission, submission_id)
    files = [
        await evidence_exists(stage.app_context.evidence, row.frame_key(n)) for n in range(row.frame_count)
    ]
    assert all(files) or not any(files)
    assert (row.frames_gone_at is None) == all(files)
    return all(files)


async def evidence_exists(evidence: EvidenceStore, key: str) -> bool:
    try:
        return bool(await evidence.get(key))
    except FileNotFoundError:
        return False


async def add_rows(stage: Stage, *rows: Any) -> None:
    """Add rows of other packages, in this order."""
    async with stage.arrange() as session:
        for row in rows:
            session.add(row)
            await session.flush()


def student_columns(candidate: Candidate) -> dict[str, Any]:
    return {"school_id": candidate.actor.school_id, "student_id": candidate.student_id}


def make_appeal(candidate: Candidate, at: datetime) -> AppealFiled:
    return AppealFiled(
        id=new_id(),
        **student_columns(candidate),
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
