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
from backend.identity import face_policy
from backend.identity.templates import active_template
from backend.roll_call.envelope import parse_stored
from backend.roll_call.law import face_rules, fence_thresholds, law_of
from backend.roll_call.outcomes import Decided, lock_obligation, outcome_of, supersedable, write_outcome
from backend.roll_call.progress import poke
from backend.roll_call.rules import Evidence, Finding, Judgement, Outcome, judge
from backend.roll_call.tables import (
    Obligation,
    RollCall,
    RollCallSite,
    RollCallStep,
    Submission,
    SubmissionFrame,
    Verdict,
)
from biometrics.checks import BurstResult, Shot
from biometrics.errors import BiometricsError
from biometrics.matching import Decision as FaceDecision
from biometrics.matching import FaceTemplate, decide
from geo.fence import FenceDecision
from geo.site import Site

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a verification needs, read in one transaction."""

    submission: Submission
    roll_call: RollCall
    frame_keys: tuple[str, ...]
    sites: tuple[Site, ...]
    template: FaceTemplate | None
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
    evidence, trace = await _examine(runtime, facts)
    judgement = judge(evidence)
    async with runtime.database.transaction(scope) as session:
        recorded = await _record(session, facts, judgement, trace, runtime.clock())
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
        roll_call=roll_call,
        frame_keys=tuple(key for _, key in stored),
        sites=await load_sites(session, frozen) if frozen else (),
        template=await _template(session, runtime, submission),
        reused=bool(
            await session.scalar(
                select(func.door.frame_seen_elsewhere(cast(hashes, ARRAY(LargeBinary)), submission_id))
            )
        ),
    )


async def _template(session: AsyncSession, runtime: Runtime, submission: Submission) -> FaceTemplate | None:
    """The student's template; one that cannot be opened judges nobody."""
    try:
        return await active_template(session, runtime.keys, submission.student_id)
    except BiometricsError as error:
        log.warning("template unreadable", submission=str(submission.id), code=error.code)
        return None


async def _examine(runtime: Runtime, facts: Facts) -> tuple[Evidence, dict[str, Any]]:
    """Fence and face, outside any transaction. Whatever fails is left unjudged."""
    fence = _fence(facts)
    complete = len(facts.frame_keys) == facts.submission.frame_count
    burst: BurstResult | None = None
    trouble: str | None = None
    if complete and facts.template is not None:
        try:
            burst = await _face(runtime, facts, facts.template)
        except (BiometricsError, FileNotFoundError, FrameAltered) as error:
            trouble = getattr(error, "code", "frame_lost")
            log.warning("face check failed", submission=str(facts.submission.id), code=trouble)
    face, face_reasons = _face_verdict(facts, burst)
    if trouble is not None:
        face_reasons = (trouble,)
    evidence = Evidence(
        frames_complete=complete,
        fence=None if fence is None else fence.decision.value,
        fence_reasons=() if fence is None else tuple(reason.value for reason in fence.reasons),
        face=face,
        face_reasons=face_reasons,
        reused=facts.reused,
        in_cool_down=facts.submission.in_cool_down,
    )
    return evidence, _trace(facts, fence, burst, face)


def _fence(facts: Facts) -> FenceDecision | None:
    if not facts.sites:
        return None
    fixes = [part.fix() for part in parse_stored(facts.submission.envelope).fixes]
    return decide_any(fixes, facts.sites, fence_thresholds(law_of(facts.roll_call)))


async def _face(runtime: Runtime, facts: Facts, template: FaceTemplate) -> BurstResult:
    declared = parse_stored(facts.submission.envelope).frames
    images = [await runtime.evidence.get(key) for key in facts.frame_keys]
    for data, frame in zip(images, declared, strict=True):
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise FrameAltered
    rules = face_rules(law_of(facts.roll_call), template.engine.id)
    burst = [Shot(data, frame.at_ms) for data, frame in zip(images, declared, strict=True)]
    result: BurstResult = await runtime.extras["face_pool"].judge(burst, template, rules)
    return result


def _face_verdict(facts: Facts, burst: BurstResult | None) -> tuple[str | None, tuple[str, ...]]:
    if burst is None:
        return None, ()
    spoken = tuple(reason.code for reason in (*burst.quality_reasons, *burst.liveness_reasons))
    if burst.score is None or burst.quality_reasons or burst.liveness_reasons:
        return "unusable", spoken
    thresholds = face_policy.thresholds(law_of(facts.roll_call), burst.engine.key.id)
    verdict = decide(burst.score, burst.metric, thresholds)
    return {FaceDecision.ACCEPT: "accept", FaceDecision.STEP_UP: "step_up", FaceDecision.REJECT: "reject"}[
        verdict
    ], ()


def _trace(
    facts: Facts, fence: FenceDecision | None, burst: BurstResult | None, face: str | None
) -> dict[str, Any]:
    """What a person needs to check the finding again: figures, thresholds, engine and law, no picture."""
    law = law_of(facts.roll_call)
    trace: dict[str, Any] = {"policy_version": law.version, "in_cool_down": facts.submission.in_cool_down}
    if fence is not None:
        thresholds = fence_thresholds(law)
        trace["fence"] = {
            "decision": fence.decision.value,
            "distance_m": round(fence.distance_m, 2),
            "probability_inside": round(fence.probability_inside, 6),
            "accuracy_m": round(fence.judged.accuracy_m, 2),
            "reasons": [reason.value for reason in fence.reasons],
            "inside_at": thresholds.inside_at,
            "outside_at": thresholds.outside_at,
        }
    if burst is not None:
        limits = face_policy.thresholds(law, burst.engine.key.id)
        trace["face"] = {
            "decision": face,
            "engine": str(burst.engine.key),
            "metric": burst.metric.value,
            "score": None if burst.score is None else round(burst.score, 6),
            "accept_at": limits.accept_at,
            "reject_at": limits.reject_at,
            "quality": [reason.code for reason in burst.quality_reasons],
            "liveness": [reason.code for reason in burst.liveness_reasons],
            "ms": burst.ms,
        }
    return trace


async def _record(
    session: AsyncSession, facts: Facts, judgement: Judgement, trace: dict[str, Any], at: datetime
) -> bool:
    """Write the verdict once and, if it accepts, the outcome. False if another worker was first."""
    submission = facts.submission
    await lock_obligation(session, submission.roll_call_id, submission.student_id)
    face = trace.get("face")
    written = await session.scalar(
        insert(Verdict)
        .values(
            submission_id=submission.id,
            roll_call_id=submission.roll_call_id,
            school_id=submission.school_id,
            student_id=submission.student_id,
            finding=judgement.finding.value,
            reasons=list(judgement.reasons),
            engine=face["engine"] if face else None,
            trace=trace,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(Verdict.submission_id)
    )
    if written is None:
        return False
    if judgement.finding is Finding.ACCEPTED:
        await _make_present(session, facts, judgement, trace, at)
    return True


async def _make_present(
    session: AsyncSession, facts: Facts, judgement: Judgement, trace: dict[str, Any], at: datetime
) -> None:
    """An accepted submission makes its student present, unless the roll call was voided.

    A verdict that comes after the settlement left the student undetermined, or had not yet seen the submission,
    resolves that: it was sent in time.
    """
    submission, roll_call = facts.submission, facts.roll_call
    if await session.get(RollCallStep, (roll_call.id, "voided")) is not None:
        return
    obligation = await session.get_one(Obligation, (roll_call.id, submission.student_id))
    decided = Decided(Outcome.PRESENT, judgement.reasons[0], "face", trace, submission.id)
    while True:
        earlier = await outcome_of(session, roll_call.id, submission.student_id)
        if earlier is not None and not supersedable(earlier):
            return
        # False means that a settlement or a voiding was just written; it is looked at again.
        if await write_outcome(session, roll_call, obligation, decided, at, replaces=earlier):
            return
