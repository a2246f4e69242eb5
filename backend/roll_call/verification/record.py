"""Verdicts of several submissions of one school, and what follows from them, in one transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.identity.face.selfie_records import Shown, keep_selfies
from backend.roll_call.eligibility import StudentCheck, exhausted, refuse
from backend.roll_call.outcomes import (
    Decided,
    effective,
    lock_obligations,
    lock_roll_call_shared,
    outcome_of,
    supersedable,
    write_outcome,
)
from backend.roll_call.policy import check_in_figures, law_of
from backend.roll_call.rules import Finding, Judgement, Outcome
from backend.roll_call.tables import OutcomeEntry, RollCall, RollCallStep, Verdict
from backend.roll_call.verification.evidence import hashes_of
from backend.roll_call.verification.inputs import VerificationInput
from backend.roll_call.verification.queue import Lease, complete
from biometrics.checks import BurstResult


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found, how, and the burst if it could be judged."""

    judgement: Judgement
    trace: dict[str, Any]
    burst: BurstResult | None


@dataclass(frozen=True, slots=True)
class Verified:
    """A submission whose verdict is to be written, under the lease that it was judged under."""

    lease: Lease
    facts: VerificationInput
    examined: Analysis

    @property
    def submission_id(self) -> UUID:
        return self.lease.submission_id

    @property
    def owed(self) -> tuple[UUID, UUID]:
        """The obligation: roll call and student."""
        return self.facts.submission.roll_call_id, self.facts.submission.student_id

    @property
    def accepted(self) -> bool:
        return self.examined.judgement.finding is Finding.ACCEPTED


async def record_verdicts(
    session: AsyncSession, app_context: AppContext, judged: Sequence[Verified], at: datetime
) -> list[Verified]:
    """Write each verdict once, and outcome, memory or refusal that follows from it; returns those that were written.

    Left out is what another worker holds by now, or had judged before. Every lock is taken before anything is written,
    in the order that all who decide on obligations keep.
    """
    await lock_obligations(session, {each.owed for each in judged})
    for roll_call_id in sorted({each.owed[0] for each in judged}):
        await lock_roll_call_shared(session, roll_call_id)
    held = await complete(session, [each.lease for each in judged])
    if not held:
        return []
    written = await _write_verdicts(session, [each for each in judged if each.submission_id in held], at)
    accepted = [each for each in written if each.accepted]
    if accepted:
        await _make_present(session, accepted, at)
        await _remember(session, app_context, accepted, at)
    for each in {each.owed: each for each in written if not each.accepted}.values():
        await _send_to_a_person(session, each.facts, at)
    return written


async def _write_verdicts(session: AsyncSession, judged: Sequence[Verified], at: datetime) -> list[Verified]:
    rows = [_verdict(each, at) for each in judged]
    added = insert(Verdict).on_conflict_do_nothing().returning(Verdict.submission_id)
    written = set(await session.scalars(added, rows))
    first = sorted(judged, key=lambda each: each.facts.submission.received_at)
    return [each for each in first if each.submission_id in written]


def _verdict(judged: Verified, at: datetime) -> dict[str, Any]:
    submission, examined = judged.facts.submission, judged.examined
    face = examined.trace.get("face")
    return {
        "submission_id": submission.id,
        "roll_call_id": submission.roll_call_id,
        "school_id": submission.school_id,
        "term_code": submission.term_code,
        "student_id": submission.student_id,
        "finding": examined.judgement.finding.value,
        "reasons": list(examined.judgement.reasons),
        "engine": face["engine"] if face else None,
        "trace": examined.trace,
        "at": at,
    }


async def _send_to_a_person(session: AsyncSession, facts: VerificationInput, at: datetime) -> None:
    """Say so at once, while the window is open, when this finding used up the machine's tries."""
    roll_call = facts.roll_call
    task = StudentCheck(roll_call, facts.obligation, check_in_figures(law_of(roll_call)))
    told = await exhausted(session, task)
    if told is not None and at <= roll_call.deadline:
        await refuse(session, task, "verification", told, at, facts.submission.envelope_digest)


async def _remember(
    session: AsyncSession, app_context: AppContext, accepted: Sequence[Verified], at: datetime
) -> None:
    """Keep what accepted bursts showed, so that it is noticed when it is sent again."""
    shown = [
        Shown(each.owed[1], each.submission_id, burst.probe, hashes_of(burst))
        for each in accepted
        if (burst := each.examined.burst) is not None and burst.probe is not None
    ]
    if shown:
        await keep_selfies(session, app_context.keys, shown, at)


async def _make_present(session: AsyncSession, accepted: Sequence[Verified], at: datetime) -> None:
    """Accepted submissions make their students present, unless the roll call was voided.

    A verdict that comes after the settlement left the student undetermined, or had not yet seen the submission,
    resolves that: it was sent in time.
    """
    voided = await _voided(session, {each.owed[0] for each in accepted})
    counting = [each for each in accepted if each.owed[0] not in voided]
    in_effect = await _in_effect(session, counting)
    with session.no_autoflush:  # the audit entries of all go out together
        for each in counting:
            decided = Decided(
                Outcome.PRESENT,
                each.examined.judgement.reasons[0],
                "face",
                each.examined.trace,
                each.submission_id,
            )
            await _decide(session, each.facts, decided, in_effect.get(each.owed), at)


async def _voided(session: AsyncSession, roll_call_ids: Collection[UUID]) -> set[UUID]:
    steps = select(RollCallStep.roll_call_id).where(
        RollCallStep.roll_call_id.in_(roll_call_ids), RollCallStep.step == "voided"
    )
    return set(await session.scalars(steps))


async def _in_effect(
    session: AsyncSession, judged: Sequence[Verified]
) -> dict[tuple[UUID, UUID], OutcomeEntry]:
    found = effective().where(
        OutcomeEntry.term_code.in_({each.facts.submission.term_code for each in judged}),
        tuple_(OutcomeEntry.roll_call_id, OutcomeEntry.student_id).in_({each.owed for each in judged}),
    )
    return {(each.roll_call_id, each.student_id): each for each in await session.scalars(found)}


async def _decide(
    session: AsyncSession,
    facts: VerificationInput,
    decided: Decided,
    earlier: OutcomeEntry | None,
    at: datetime,
) -> None:
    roll_call: RollCall = facts.roll_call
    while earlier is None or supersedable(earlier):
        if await write_outcome(session, roll_call, facts.obligation, decided, at, replaces=earlier):
            return
        # Another entry was written since, perhaps by this very batch; it is looked at again.
        earlier = await outcome_of(session, roll_call.id, facts.submission.student_id)
