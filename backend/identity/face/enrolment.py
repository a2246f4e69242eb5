"""Enrolling a face from several shots (HN334-3.1): taken only with consent, judged by a worker, never overwritten."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import BadInput, DomainError
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.core.tenancy import Scope
from backend.identity.consents import FACE_CONSENTS, require_consents
from backend.identity.errors import (
    ConsentMissing,
    EnrolmentPending,
    FaceAlreadyEnrolled,
    PicturesUnjudged,
    TooManyAttempts,
)
from backend.identity.face.pictures import keep_redrawn, refuse_unsound
from backend.identity.face.policy import enrolment_rules
from backend.identity.face.selfie_records import keep_enrolment
from backend.identity.face.templates import ever_enrolled, store_template
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment
from backend.policy import PolicyAt
from biometrics.checks import EnrolmentResult, Shot, ShotReport
from biometrics.errors import BiometricsError
from biometrics.pictures.quality import Reason
from biometrics.pool import FacePool


@dataclass(frozen=True, slots=True)
class EnrolmentRef:
    """Which enrolment of whom; identifiers only, so that a job may carry it."""

    enrolment_id: UUID
    school_id: UUID
    student_id: UUID

    def shot_keys(self, count: int) -> list[str]:
        """Where the evidence store keeps the shots."""
        return [f"enrolment/{self.student_id}/{self.enrolment_id}/{number}" for number in range(count)]

    @property
    def scope(self) -> Scope:
        """The student's own view."""
        return Scope.student(self.school_id, self.student_id)


def reason_row(reason: Reason, shot: int | None) -> dict[str, Any]:
    """A reason as it is kept and shown; `shot` counts from 0, None speaks of all together."""
    return {"shot": shot, "code": reason.code, "zh": reason.zh, "en": reason.en}


def face_pool(_: AppContext) -> FacePool:
    """The face engines of a worker. `run_worker` provides them; other processes have none."""
    msg = "this process has no face engines: run it in `dianming worker`"
    raise RuntimeError(msg)


async def submit_shots(app_context: AppContext, actor: Actor, shots: list[bytes]) -> FaceEnrolment:
    """Keep the shots and leave the judgement to a worker. Nothing is stored before consent is known."""
    assert actor.school_id is not None
    assert actor.student_id is not None
    at = app_context.clock()
    law = province_policy(app_context, at)
    _check_count(len(shots), law)
    async with app_context.database.transaction(actor.scope) as session:
        await _may_enrol(session, actor.student_id, law, at)
    refuse_unsound(shots)
    ref = EnrolmentRef(new_id(), actor.school_id, actor.student_id)
    keys = ref.shot_keys(len(shots))
    await asyncio.gather(
        *(app_context.evidence.put(key, shot) for key, shot in zip(keys, shots, strict=True))
    )
    try:
        async with app_context.database.transaction(actor.scope) as session:
            await _may_enrol(session, actor.student_id, law, at)
            return await _open(session, ref, len(shots), at)
    except BaseException:
        await app_context.evidence.delete(keys)
        raise


def _check_count(count: int, law: PolicyAt) -> None:
    least = law.integer("verification.face.enrolment_shots")
    most = law.integer("verification.face.enrolment_shots_max")
    if not least <= count <= most:
        raise BadInput(
            field="shots",
            reason_zh=f"需要 {least} 至 {most} 张照片，收到 {count} 张",
            reason_en=f"{least} to {most} shots are needed, {count} came",
        )


async def _may_enrol(session: AsyncSession, student_id: UUID, law: PolicyAt, at: datetime) -> None:
    await require_consents(session, student_id, *FACE_CONSENTS)
    if await ever_enrolled(session, student_id):
        raise FaceAlreadyEnrolled
    delay = law.duration("verification.face.delay_after_failures")
    failures = (
        select(func.count())
        .select_from(FaceEnrolment)
        .where(
            FaceEnrolment.student_id == student_id,
            FaceEnrolment.status == "refused",
            FaceEnrolment.engine.is_not(None),
            FaceEnrolment.decided_at > at - delay,
        )
    )
    if (await session.scalar(failures) or 0) >= law.integer("verification.face.max_failed_attempts"):
        raise TooManyAttempts(wait_s=int(delay.total_seconds()))


async def _open(session: AsyncSession, ref: EnrolmentRef, shots: int, at: datetime) -> FaceEnrolment:
    from backend.identity.face.tasks import enrol_face  # noqa: PLC0415 - the job calls this module back

    enrolment = FaceEnrolment(
        id=ref.enrolment_id,
        school_id=ref.school_id,
        student_id=ref.student_id,
        status="pending",
        shots=shots,
        reasons=[],
        submitted_at=at,
    )
    session.add(enrolment)
    try:
        await session.flush()
    except IntegrityError as error:
        raise EnrolmentPending from error
    who = {"school_id": str(ref.school_id), "student_id": str(ref.student_id)}
    await enqueue(session, enrol_face, enrolment_id=str(ref.enrolment_id), **who)
    return enrolment


async def judge_enrolment(app_context: AppContext, ref: EnrolmentRef) -> None:
    """Judge the shots with no transaction open, then keep the template or the reasons in a short one."""
    async with app_context.database.transaction(ref.scope) as session:
        enrolment = await _pending(session, ref)
    if enrolment is None:
        return
    shots = [Shot(await app_context.evidence.get(key)) for key in ref.shot_keys(enrolment.shots)]
    pool = app_context.service(face_pool)
    rules = enrolment_rules(province_policy(app_context, app_context.clock()), pool.enrolling().key.id)
    try:
        verdict: EnrolmentResult | BiometricsError = await pool.enrol(shots, rules)
    except BiometricsError as refusal:
        verdict = refusal
    await _conclude(app_context, ref, verdict)
    for key in ref.shot_keys(len(shots)):
        await keep_redrawn(app_context.evidence, pool, key)


async def give_up(app_context: AppContext, ref: EnrolmentRef) -> None:
    """Refuse what no attempt could judge: left pending, it would keep its student from ever enrolling."""
    await _conclude(app_context, ref, PicturesUnjudged())


async def _conclude(
    app_context: AppContext, ref: EnrolmentRef, verdict: EnrolmentResult | BiometricsError | PicturesUnjudged
) -> None:
    at = app_context.clock()
    async with app_context.database.transaction(ref.scope) as session:
        enrolment = await _pending(session, ref)
        if enrolment is None:
            return
        accepted = False
        if isinstance(verdict, BiometricsError | PicturesUnjudged):
            enrolment.reasons = [reason_row(as_reason(verdict), None)]
        else:
            enrolment.engine = str(verdict.engine.key)
            enrolment.reasons = _reasons(verdict.shots, verdict.reasons)
            accepted = await _keep(app_context, session, enrolment, verdict, at)
        enrolment.status = "accepted" if accepted else "refused"
        enrolment.decided_at = at
        name = "FaceEnrolled" if accepted else "FaceEnrolmentRefused"
        payload = {"school_id": str(ref.school_id), "student_id": str(ref.student_id)}
        await outbox.emit(session, name, payload | {"enrolment_id": str(ref.enrolment_id)}, at)


async def _keep(
    app_context: AppContext,
    session: AsyncSession,
    enrolment: FaceEnrolment,
    result: EnrolmentResult,
    at: datetime,
) -> bool:
    """Store the template unless there is none, or the consent went while it was judged."""
    if result.template is None:
        return False
    try:
        await require_consents(session, enrolment.student_id, *FACE_CONSENTS)
    except ConsentMissing as missing:
        enrolment.reasons = [reason_row(as_reason(missing), None)]
        return False
    await store_template(session, app_context.keys, enrolment, result.template, at)
    usable = [report.fingerprint for report in result.shots if not report.reasons]
    hashes = [fingerprint.phash for fingerprint in usable if fingerprint is not None]
    await keep_enrolment(session, app_context.keys, enrolment, result.template.descriptor(), hashes, at)
    return True


async def _pending(session: AsyncSession, ref: EnrolmentRef) -> FaceEnrolment | None:
    """The enrolment, locked, if nobody has decided it."""
    waiting = (
        select(FaceEnrolment)
        .where(FaceEnrolment.id == ref.enrolment_id, FaceEnrolment.status == "pending")
        .with_for_update()
    )
    return (await session.scalars(waiting)).one_or_none()


def as_reason(refusal: BiometricsError | DomainError) -> Reason:
    """A refusal as a reason for the student."""
    return Reason(refusal.code, refusal.sentence("zh"), refusal.sentence("en"))


def _reasons(shots: tuple[ShotReport, ...], overall: tuple[Reason, ...]) -> list[dict[str, Any]]:
    each = [reason_row(reason, number) for number, report in enumerate(shots) for reason in report.reasons]
    return each + [reason_row(reason, None) for reason in overall]


async def newest_enrolment(session: AsyncSession, student_id: UUID) -> FaceEnrolment | None:
    """The latest attempt, whatever became of it."""
    newest = (
        select(FaceEnrolment)
        .where(FaceEnrolment.student_id == student_id)
        .order_by(FaceEnrolment.submitted_at.desc(), FaceEnrolment.id.desc())
        .limit(1)
    )
    return (await session.scalars(newest)).one_or_none()
