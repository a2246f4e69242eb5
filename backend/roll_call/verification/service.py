"""Verification of submissions: facts are read, judged with no transaction open, and recorded in a short one.

A failing part makes the finding undetermined, never present and never missed (THREATS 21). What fails otherwise is
tried again later, and becomes a dead letter in the end; that spoils nothing that was taken together with it. A database
that goes away says nothing of a submission and counts as no attempt.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.exc import OperationalError

from backend.campus.fences import decide_any
from backend.core.app_context import AppContext
from backend.core.database import is_unreachable
from backend.core.tenancy import Scope
from backend.identity.face.pool import face_pool
from backend.policy import PolicyAt
from backend.roll_call.check_in.challenges import shown_at
from backend.roll_call.envelope import Envelope, parse_stored
from backend.roll_call.policy import check_in_figures, face_rules, fence_thresholds, law_of
from backend.roll_call.progress.access import publish_changed
from backend.roll_call.rules import Evidence, judge
from backend.roll_call.verification.evidence import (
    FaceFinding,
    face_finding,
    face_trace,
    fence_trace,
    liveness_trace,
    reuse_of,
    reuse_trace,
)
from backend.roll_call.verification.inputs import VerificationInput, load_inputs
from backend.roll_call.verification.queue import Lease, QueueConfig, complete, release, retry_later
from backend.roll_call.verification.record import Analysis, Verified, record_verdicts
from biometrics.checks import BurstResult, Shot
from biometrics.errors import BiometricsError
from biometrics.liveness.actions import Action
from biometrics.matching.scoring import Reference
from biometrics.pool import FacePoolClosed
from geo.fence import FenceDecision

log = structlog.get_logger()


class FrameAltered(Exception):
    """What the evidence store holds is not what the phone signed: it judges nobody."""

    code = "frame_altered"


READING, JUDGING, RECORDING = "reading_failed", "judging_failed", "recording_failed"
"""In which part a submission failed, for a reason that says nothing of its student."""
LOOK_AGAIN_SECONDS = 1.0
"""Before the database is asked again whether it is back."""


async def verify_batch(app_context: AppContext, leases: Sequence[Lease], terms: QueueConfig) -> int:
    """Judge submissions of one school; returns how many verdicts were written.

    Running it again, or several at once, changes nothing more: a verdict is written once, under a lease that holds.
    """
    batch = _Batch(app_context, leases)
    known = await batch.spared(batch.read, leases, READING)
    judged = await batch.examine(known)
    written = await batch.spared(batch.write, judged, RECORDING) if judged else []
    await batch.conclude({each.submission_id for each in judged}, terms)
    for roll_call_id in {each.facts.roll_call.id for each in written}:
        await publish_changed(app_context.redis, roll_call_id)
    return len(written)


class _Taken(Protocol):
    @property
    def submission_id(self) -> UUID: ...


Item = TypeVar("Item", bound=_Taken)
Result = TypeVar("Result")


class _Batch:
    """What becomes of the submissions of one batch."""

    def __init__(self, app_context: AppContext, leases: Sequence[Lease]) -> None:
        self._runtime = app_context
        self._leases = {lease.submission_id: lease for lease in leases}
        self._school_id = leases[0].school_id
        self._failed: dict[UUID, str] = {}
        self._untouched: set[UUID] = set()

    async def spared(
        self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], items: Sequence[Item], code: str
    ) -> list[Result]:
        """The work on all at once; if that fails, on each alone, so that a bad one spoils no other."""
        try:
            return list(await work(items))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is noted or comes again
            if is_unreachable(error):
                log.warning("verification interrupted: the database went away", code=code)
                self._untouched.update(item.submission_id for item in items)
                return []
            if len(items) == 1:
                self._note(items[0].submission_id, code, error)
                return []
        return [result for item in items for result in await self.spared(work, [item], code)]

    def _note(self, submission_id: UUID, code: str, error: BaseException) -> None:
        log.warning("verification failed", submission=str(submission_id), code=code, exc_info=error)
        self._failed[submission_id] = code

    async def read(self, leases: Sequence[Lease]) -> list[VerificationInput]:
        async with self._runtime.database.transaction(Scope.school(self._school_id)) as session:
            wanted = [lease.submission_id for lease in leases]
            return await load_inputs(session, self._runtime, self._school_id, wanted)

    async def examine(self, known: Sequence[VerificationInput]) -> list[Verified]:
        """All at once, as many in parallel as there are face processes."""
        answers = await asyncio.gather(
            *(_examine(self._runtime, facts) for facts in known), return_exceptions=True
        )
        judged = []
        for facts, answer in zip(known, answers, strict=True):
            submission_id = facts.submission.id
            if isinstance(answer, FacePoolClosed | asyncio.CancelledError):  # this worker stops
                self._untouched.add(submission_id)
            elif isinstance(answer, BaseException):
                self._note(submission_id, JUDGING, answer)
            else:
                judged.append(Verified(self._leases[submission_id], facts, answer))
        return judged

    async def write(self, judged: Sequence[Verified]) -> list[Verified]:
        async with self._runtime.database.transaction(Scope.school(self._school_id)) as session:
            return await record_verdicts(session, self._runtime, judged, self._runtime.clock())

    async def conclude(self, judged: set[UUID], terms: QueueConfig) -> None:
        """Put off what failed, give back what nobody looked at, and let go of what had a verdict before.

        A database that is away is waited for as long as a lease lasts: what is not given back counts as an attempt.
        """
        until = time.monotonic() + terms.lease.total_seconds()
        while True:
            try:
                return await self._conclude(judged, terms)
            except OperationalError as error:
                if not is_unreachable(error) or time.monotonic() > until:
                    raise
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _conclude(self, judged: set[UUID], terms: QueueConfig) -> None:
        left = self._leases.keys() - judged - self._failed.keys() - self._untouched
        if not left and not self._failed and not self._untouched:
            return
        async with self._runtime.database.transaction(Scope.school(self._school_id)) as session:
            await complete(session, [self._leases[each] for each in left])
            await release(session, [self._leases[each] for each in self._untouched])
            for submission_id, code in self._failed.items():
                lease = self._leases[submission_id]
                if await retry_later(session, lease, code, terms, self._runtime.clock()):
                    log.error("verification given up", submission=str(submission_id), code=code)


async def _examine(app_context: AppContext, facts: VerificationInput) -> Analysis:
    """Fence and face, outside any transaction. What the parts cannot tell is left unjudged."""
    law = law_of(facts.roll_call)
    submission = facts.submission
    trace: dict[str, Any] = {"policy_version": law.version, "in_cool_down": submission.in_cool_down}
    envelope = parse_stored(submission.envelope)
    fence = _fence(facts, envelope, law)
    if fence is not None:
        trace["fence"] = fence_trace(law, fence)
    complete = len(facts.frame_keys) == submission.frame_count
    finding, burst = FaceFinding(), None
    if complete and facts.reference is not None:
        try:
            burst = await _face(app_context, facts, envelope, facts.reference, law)
        except FacePoolClosed:  # says nothing of the burst: another worker judges it
            raise
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
    return Analysis(judge(evidence), trace, burst)


def _fence(facts: VerificationInput, envelope: Envelope, law: PolicyAt) -> FenceDecision | None:
    if not facts.sites:
        return None
    fixes = [part.fix() for part in envelope.fixes]
    return decide_any(fixes, facts.sites, fence_thresholds(law))


async def _face(
    app_context: AppContext, facts: VerificationInput, envelope: Envelope, reference: Reference, law: PolicyAt
) -> BurstResult:
    declared = envelope.frames
    images = [await app_context.evidence.get(key) for key in facts.frame_keys]
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
    result: BurstResult = await app_context.service(face_pool).judge(burst, reference, rules, asked)
    return result
