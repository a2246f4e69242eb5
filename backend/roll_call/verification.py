"""Verification of a submission: facts are read, judged with no transaction open, and recorded in a short one.

A failing part makes the finding undetermined, never present and never missed (THREATS 21).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from procrastinate import JobContext, RetryStrategy
from sqlalchemy import ARRAY, LargeBinary, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.fences import decide_any, load_sites
from backend.core.jobs import VERIFICATION, job_app
from backend.core.runtime import Runtime
from backend.core.tenancy import Scope
from backend.identity.references import reference_of
from backend.identity.selfies import EarlierSelfie, earlier_selfies, keep_selfie
from backend.policy import PolicyAt
from backend.roll_call.attempts import Asked, exhausted, refuse
from backend.roll_call.challenges import shown_at
from backend.roll_call.envelope import parse_stored
from backend.roll_call.findings import (
    FaceFinding,
    face_finding,
    face_trace,
    fence_trace,
    hashes_of,
    liveness_trace,
    reuse_of,
    reuse_trace,
)
from backend.roll_call.law import check_in_figures, face_rules, fence_thresholds, law_of
from backend.roll_call.outcomes import Decided, lock_obligation, outcome_of, supersedable, write_outcome
from backend.roll_call.progress import poke
from backend.roll_call.rules import Evidence, Finding, Judgement, Outcome, judge
from backend.roll_call.tables import (
    Challenge,
    Obligation,
    RollCall,
    RollCallSite,
    RollCallStep,
    Submission,
    SubmissionFrame,
    Verdict,
)
from biometrics.actions import Action
from biometrics.checks import BurstResult, Shot
from biometrics.errors import BiometricsError
from biometrics.scoring import Reference
from geo.fence import FenceDecision
from geo.site import Site

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a verification needs, read in one transaction."""

    submission: Submission
    challenge: Challenge
    roll_call: RollCall
    frame_keys: tuple[str, ...]
    sites: tuple[Site, ...]
    reference: Reference | None
    earlier: tuple[EarlierSelfie, ...]
    reused: bool


class FrameAltered(Exception):
    """What the evidence store holds is not what the phone signed: it judges nobody."""

    code = "frame_altered"


@job_app.task(
    queue=VERIFICATION,
    name="verify_submission",
    pass_context=True,
    retry=RetryStrategy(max_attempts=4, exponential_wait=2),
)
async def verify_submission(context: JobContext, submission_id: str, school_id: str) -> None:
    """Judge one submission. Running it again, or twice at once, changes nothing more."""
    runtime: Runtime = context.additional_context["runtime"]
    scope = Scope.school(UUID(school_id))
    async with runtime.database.transaction(scope) as session:
        facts = await _read(session, runtime, UUID(submission_id))
    if facts is None:
        return
    examined = await _examine(runtime, facts)
    async with runtime.database.transaction(scope) as session:
        recorded = await _record(session, runtime, facts, examined)
    if recorded:
        await poke(runtime.redis, facts.roll_call.id)


async def _read(session: AsyncSession, runtime: Runtime, submission_id: UUID) -> Facts | None:
    if await session.get(Verdict, submission_id) is not None:
        return None
    submission = await session.get_one(Submission, submission_id)
    roll_call = await session.get_one(RollCall, submission.roll_call_id)
    frames = await session.execute(
        select(SubmissionFrame.sha256, SubmissionFrame.evidence_key)
        .where(SubmissionFrame.submission_id == submission_id)
        .order_by(SubmissionFrame.position)
    )
    stored = frames.all()
    hashes = [sha256 for sha256, _ in stored]
    versions = await session.scalars(
        select(RollCallSite.site_version_id).where(
            RollCallSite.roll_call_id == roll_call.id, RollCallSite.school_id == submission.school_id
        )
    )
    frozen = tuple(versions)
    return Facts(
        submission=submission,
        challenge=await session.get_one(Challenge, submission.nonce),
        roll_call=roll_call,
        frame_keys=tuple(key for _, key in stored),
        sites=await load_sites(session, frozen) if frozen else (),
        reference=await _reference(session, runtime, roll_call, submission),
        earlier=tuple(await earlier_selfies(session, runtime.keys, submission.student_id)),
        reused=bool(
            await session.scalar(
                select(func.door.frame_seen_elsewhere(cast(hashes, ARRAY(LargeBinary)), submission_id))
            )
        ),
    )


async def _reference(
    session: AsyncSession, runtime: Runtime, roll_call: RollCall, submission: Submission
) -> Reference | None:
    """What the student's burst is compared with; a template that cannot be opened judges nobody."""
    obligation = await session.get_one(Obligation, (roll_call.id, submission.student_id))
    try:
        return await reference_of(
            session,
            runtime.keys,
            submission.student_id,
            law_of(roll_call),
            school_id=submission.school_id,
            class_id=obligation.class_id,
        )
    except BiometricsError as error:
        log.warning("template unreadable", submission=str(submission.id), code=error.code)
        return None


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, how, and the burst if it could be judged."""

    judgement: Judgement
    trace: dict[str, Any]
    burst: BurstResult | None


async def _examine(runtime: Runtime, facts: Facts) -> Examined:
    """Fence and face, outside any transaction. Whatever fails is left unjudged."""
    law = law_of(facts.roll_call)
    submission = facts.submission
    trace: dict[str, Any] = {"policy_version": law.version, "in_cool_down": submission.in_cool_down}
    fence = _fence(facts, law)
    if fence is not None:
        trace["fence"] = fence_trace(law, fence)
    complete = len(facts.frame_keys) == submission.frame_count
    finding, burst = FaceFinding(), None
    if complete and facts.reference is not None:
        try:
            burst = await _face(runtime, facts, facts.reference, law)
        except (BiometricsError, FileNotFoundError, FrameAltered) as error:
            finding = FaceFinding(reasons=(getattr(error, "code", "frame_lost"),))
            log.warning("face check failed", submission=str(submission.id), code=finding.reasons[0])
        else:
            reuse = reuse_of(law, burst, facts.earlier, facts.reference.template)
            finding = face_finding(law, burst, reuse)
            trace["face"] = face_trace(law, burst, finding)
            trace["reuse"] = reuse_trace(law, burst, reuse, len(facts.earlier))
            answered_after = submission.received_at - facts.challenge.issued_at
            trace["liveness"] = liveness_trace(law, burst, answered_after)
    evidence = Evidence(
        frames_complete=complete,
        fence=None if fence is None else fence.decision.value,
        fence_reasons=() if fence is None else tuple(reason.value for reason in fence.reasons),
        face=finding.face,
        face_reasons=finding.reasons,
        liveness=finding.liveness,
        likeness=finding.likeness,
        reused=facts.reused,
        in_cool_down=submission.in_cool_down,
    )
    return Examined(judge(evidence), trace, burst)


def _fence(facts: Facts, law: PolicyAt) -> FenceDecision | None:
    if not facts.sites:
        return None
    fixes = [part.fix() for part in parse_stored(facts.submission.envelope).fixes]
    return decide_any(fixes, facts.sites, fence_thresholds(law))


async def _face(runtime: Runtime, facts: Facts, reference: Reference, law: PolicyAt) -> BurstResult:
    envelope = parse_stored(facts.submission.envelope)
    declared = envelope.frames
    images = [await runtime.evidence.get(key) for key in facts.frame_keys]
    for data, frame in zip(images, declared, strict=True):
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise FrameAltered
    rules = face_rules(law, reference.template.engine.id)
    # That the screen flashed is the phone's own word: it adds a signal to the risk and takes none away.
    flash = facts.challenge.flash if envelope.claims.get("flash") is True else ()
    each_ms = check_in_figures(law).flash_ms
    burst = [
        Shot(data, frame.at_ms, shown_at(flash, each_ms, frame.at_ms))
        for data, frame in zip(images, declared, strict=True)
    ]
    asked = tuple(Action(code) for code in facts.challenge.actions)
    result: BurstResult = await runtime.extras["face_pool"].judge(burst, reference, rules, asked)
    return result


async def _record(session: AsyncSession, runtime: Runtime, facts: Facts, examined: Examined) -> bool:
    """Write the verdict once and, if it accepts, the outcome. False if another worker was first."""
    submission, judgement, at = facts.submission, examined.judgement, runtime.clock()
    await lock_obligation(session, submission.roll_call_id, submission.student_id)
    face = examined.trace.get("face")
    written = await session.scalar(
        insert(Verdict)
        .values(
            submission_id=submission.id,
            roll_call_id=submission.roll_call_id,
            school_id=submission.school_id,
            term_code=submission.term_code,
            student_id=submission.student_id,
            finding=judgement.finding.value,
            reasons=list(judgement.reasons),
            engine=face["engine"] if face else None,
            trace=examined.trace,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(Verdict.submission_id)
    )
    if written is None:
        return False
    if judgement.finding is Finding.ACCEPTED:
        await _make_present(session, facts, examined, at)
        await _remember(session, runtime, facts, examined.burst, at)
    else:
        await _send_to_a_person(session, facts, at)
    return True


async def _send_to_a_person(session: AsyncSession, facts: Facts, at: datetime) -> None:
    """Say so at once, while the window is open, when this finding used up the machine's tries."""
    submission, roll_call = facts.submission, facts.roll_call
    obligation = await session.get_one(Obligation, (roll_call.id, submission.student_id))
    task = Asked(roll_call, obligation, check_in_figures(law_of(roll_call)))
    told = await exhausted(session, task)
    if told is not None and at <= roll_call.closes_at:
        await refuse(session, task, "verification", told, at, submission.envelope_digest)


async def _remember(
    session: AsyncSession, runtime: Runtime, facts: Facts, burst: BurstResult | None, at: datetime
) -> None:
    """Keep what an accepted burst showed, so that it is noticed when it is sent again."""
    if burst is None or burst.probe is None:
        return
    of = facts.submission
    await keep_selfie(session, runtime.keys, of.student_id, of.id, burst.probe, hashes_of(burst), at)


async def _make_present(session: AsyncSession, facts: Facts, examined: Examined, at: datetime) -> None:
    """An accepted submission makes its student present, unless the roll call was voided.

    A verdict that comes after the settlement left the student undetermined, or had not yet seen the submission,
    resolves that: it was sent in time.
    """
    submission, roll_call = facts.submission, facts.roll_call
    if await session.get(RollCallStep, (roll_call.id, "voided")) is not None:
        return
    obligation = await session.get_one(Obligation, (roll_call.id, submission.student_id))
    decided = Decided(Outcome.PRESENT, examined.judgement.reasons[0], "face", examined.trace, submission.id)
    while True:
        earlier = await outcome_of(session, roll_call.id, submission.student_id)
        if earlier is not None and not supersedable(earlier):
            return
        # False means that a settlement or a voiding was just written; it is looked at again.
        if await write_outcome(session, roll_call, obligation, decided, at, replaces=earlier):
            return
