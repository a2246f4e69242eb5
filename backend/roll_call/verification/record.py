"""Recording of verdicts: the verdicts of several submissions of one school, and their effects, in one transaction.

An accepted submission makes its student present and stores the selfie for later reuse checks. A verdict that uses up
the automatic attempts refers the student to the counselor. Where a person has to look, the request is inserted with the
verdict.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.identity.face.calibration.probes import RehearsalProbe, store_probes
from backend.identity.face.selfie_fingerprints import AcceptedSelfie, store_selfie_fingerprints
from backend.roll_call.cells.counting import CountedCheckIn, count_check_ins
from backend.roll_call.eligibility import (
    StudentCheck,
    find_exhaustion,
    load_verdict_reasons,
    record_refusal,
)
from backend.roll_call.errors import LookNotPossible
from backend.roll_call.looks.requests import LookCandidate, request_looks
from backend.roll_call.looks.rules import choose_frames
from backend.roll_call.outcomes import (
    OutcomeDecision,
    find_current_outcome,
    is_supersedable,
    lock_obligations,
    lock_roll_call_shared,
    select_current_outcomes,
    write_outcome,
)
from backend.roll_call.policy import check_in_limits, roll_call_policy
from backend.roll_call.rules import LOOK_BARRED, Outcome, VerdictDecision
from backend.roll_call.tables import OutcomeEntry, RollCallStep, VerdictRecord
from backend.roll_call.verification.analysis import Analysis, frame_hashes
from backend.roll_call.verification.inputs import VerificationInput
from backend.roll_call.verification.queue import Lease, complete


@dataclass(frozen=True, slots=True)
class Verified:
    """An analysed submission whose verdict is to be recorded, with the lease under which it was analysed."""

    lease: Lease
    input: VerificationInput
    analysis: Analysis

    @property
    def submission_id(self) -> UUID:
        return self.lease.submission_id

    @property
    def obligation_key(self) -> tuple[UUID, UUID]:
        """Roll call and student."""
        return self.input.submission.roll_call_id, self.input.submission.student_id

    @property
    def accepted(self) -> bool:
        return self.analysis.verdict.decision is VerdictDecision.ACCEPTED


async def record_verdicts(
    session: AsyncSession, app_context: AppContext, verified: Sequence[Verified], at: datetime
) -> list[Verified]:
    """Record each verdict once with its effects. Returns the submissions whose verdict was written.

    Left out are submissions that another worker holds by now or has already recorded. All locks are taken before the
    first write, in the order that every writer of outcomes uses.
    """
    await lock_obligations(session, {each.obligation_key for each in verified})
    for roll_call_id in sorted({each.input.roll_call.id for each in verified}):
        await lock_roll_call_shared(session, roll_call_id)
    still_leased = await complete(session, [each.lease for each in verified])
    if not still_leased:
        return []
    written = await _insert_verdicts(
        session, [each for each in verified if each.submission_id in still_leased], at
    )
    accepted = [each for each in written if each.accepted]
    if accepted:
        await _make_present(session, accepted, at)
        await _save_selfies(session, app_context, accepted, at)
    await _save_probes(session, app_context, written, at)
    newest_not_accepted = {each.obligation_key: each for each in written if not each.accepted}
    exhausted = [await _refer_if_needed(session, each, at) for each in newest_not_accepted.values()]
    await request_looks(
        session,
        [
            _look_candidate(each, exhausted=used_up)
            for each, used_up in zip(newest_not_accepted.values(), exhausted, strict=True)
        ],
        at,
    )
    return written


async def _insert_verdicts(
    session: AsyncSession, verified: Sequence[Verified], at: datetime
) -> list[Verified]:
    """Insert the verdicts; returns those that were new, in the order in which their submissions were received."""
    rows = [_verdict_row(each, at) for each in verified]
    added = insert(VerdictRecord).on_conflict_do_nothing().returning(VerdictRecord.submission_id)
    written = set(await session.scalars(added, rows))
    by_time = sorted(verified, key=lambda each: each.input.submission.received_at)
    return [each for each in by_time if each.submission_id in written]


def _verdict_row(verified: Verified, at: datetime) -> dict[str, Any]:
    submission, analysis = verified.input.submission, verified.analysis
    face = analysis.trace.get("face")
    return {
        "submission_id": submission.id,
        "roll_call_id": submission.roll_call_id,
        "school_id": submission.school_id,
        "term_code": submission.term_code,
        "student_id": submission.student_id,
        "finding": analysis.verdict.decision.value,
        "reasons": list(analysis.verdict.reasons),
        "engine": face["engine"] if face else None,
        "trace": analysis.trace,
        "at": at,
    }


async def _refer_if_needed(session: AsyncSession, verified: Verified, at: datetime) -> bool:
    """Refer the student to the counselor while the window is open, if no attempt or no look can help.

    Returns whether the automatic attempts are used up.
    """
    inputs = verified.input
    roll_call = inputs.roll_call
    check = StudentCheck(roll_call, inputs.obligation, check_in_limits(roll_call_policy(roll_call)))
    exhaustion = find_exhaustion(await load_verdict_reasons(session, check), check.figures)
    refusal = exhaustion
    if not LOOK_BARRED.isdisjoint(verified.analysis.verdict.reasons):
        refusal = LookNotPossible()
    if refusal is not None and at <= roll_call.deadline:
        digest = inputs.submission.envelope_digest
        await record_refusal(session, check, "verification", refusal, at, digest)
    return exhaustion is not None


def _look_candidate(verified: Verified, *, exhausted: bool) -> LookCandidate:
    inputs, analysis = verified.input, verified.analysis
    return LookCandidate(
        submission=inputs.submission,
        roll_call=inputs.roll_call,
        obligation=inputs.obligation,
        portrait_id=None if inputs.look_barred else inputs.portrait_id,
        verdict=analysis.verdict,
        evidence=analysis.evidence,
        frames=() if analysis.burst is None else choose_frames(analysis.burst),
        exhausted=exhausted,
    )


async def _save_selfies(
    session: AsyncSession, app_context: AppContext, accepted: Sequence[Verified], at: datetime
) -> None:
    """Store what accepted bursts showed, so that a later use of the same pictures is detected."""
    selfies = [
        AcceptedSelfie(each.input.submission.student_id, each.submission_id, burst.probe, frame_hashes(burst))
        for each in accepted
        if (burst := each.analysis.burst) is not None and burst.probe is not None
    ]
    if selfies:
        await store_selfie_fingerprints(session, app_context.keys, selfies, at)


async def _save_probes(
    session: AsyncSession, app_context: AppContext, written: Sequence[Verified], at: datetime
) -> None:
    """Store the probes of a rehearsal's check-ins, for its counselor to confirm."""
    by_roll_call: dict[UUID, list[Verified]] = {}
    for each in written:
        if each.analysis.calibrates:
            by_roll_call.setdefault(each.input.roll_call.id, []).append(each)
    for verified in by_roll_call.values():
        probes = [
            RehearsalProbe(
                each.input.submission.student_id,
                each.input.submission.school_id,
                each.input.obligation.class_id,
                each.input.roll_call.id,
                each.submission_id,
                burst.probe,
                legal_day(each.input.submission.received_at),
            )
            for each in verified
            if (burst := each.analysis.burst) is not None and burst.probe is not None
        ]
        policy = roll_call_policy(verified[0].input.roll_call)
        await store_probes(session, app_context.keys, probes, policy, at)


async def _make_present(session: AsyncSession, accepted: Sequence[Verified], at: datetime) -> None:
    """Write the outcome "present" for accepted submissions, unless the roll call was voided.

    This also applies after the settlement if it left the student undetermined or had not yet seen the submission,
    because the submission arrived in time.
    """
    voided = await _load_voided(session, {each.input.roll_call.id for each in accepted})
    counting = [each for each in accepted if each.input.roll_call.id not in voided]
    current = await _load_current_outcomes(session, counting)
    with session.no_autoflush:  # writes the audit entries of all students in one statement
        present = []
        for each in counting:
            decided = OutcomeDecision(
                Outcome.PRESENT,
                each.analysis.verdict.reasons[0],
                "face",
                each.analysis.trace,
                each.submission_id,
            )
            if await _write_if_supersedable(
                session, each.input, decided, current.get(each.obligation_key), at
            ):
                present.append(each)
    await _count_cells(session, present)


async def _count_cells(session: AsyncSession, present: Sequence[Verified]) -> None:
    """Count where the check-ins fell that made their student present, by the policy of each roll call."""
    by_roll_call: dict[UUID, list[Verified]] = {}
    for each in present:
        by_roll_call.setdefault(each.input.roll_call.id, []).append(each)
    for _, verified in sorted(by_roll_call.items()):
        counted = [
            CountedCheckIn(
                each.input.roll_call.id,
                each.input.submission.school_id,
                each.input.submission.term_code,
                each.input.submission.student_id,
                each.analysis.cell,
            )
            for each in verified
            if each.analysis.cell is not None
        ]
        if counted:
            await count_check_ins(session, counted, roll_call_policy(verified[0].input.roll_call))


async def _load_voided(session: AsyncSession, roll_call_ids: Collection[UUID]) -> set[UUID]:
    steps = select(RollCallStep.roll_call_id).where(
        RollCallStep.roll_call_id.in_(roll_call_ids), RollCallStep.step == "voided"
    )
    return set(await session.scalars(steps))


async def _load_current_outcomes(
    session: AsyncSession, verified: Sequence[Verified]
) -> dict[tuple[UUID, UUID], OutcomeEntry]:
    query = select_current_outcomes().where(
        OutcomeEntry.term_code.in_({each.input.submission.term_code for each in verified}),
        tuple_(OutcomeEntry.roll_call_id, OutcomeEntry.student_id).in_(
            {each.obligation_key for each in verified}
        ),
    )
    return {(each.roll_call_id, each.student_id): each for each in await session.scalars(query)}


async def _write_if_supersedable(
    session: AsyncSession,
    inputs: VerificationInput,
    decided: OutcomeDecision,
    current: OutcomeEntry | None,
    at: datetime,
) -> bool:
    """Write the outcome unless the current one is final. Returns whether it was written."""
    roll_call = inputs.roll_call
    while current is None or is_supersedable(current):
        if await write_outcome(session, roll_call, inputs.obligation, decided, at, replaces=current):
            return True
        # Another entry was written in the meantime, possibly by this same batch: check that one.
        current = await find_current_outcome(session, roll_call.id, inputs.submission.student_id)
    return False
