"""Judges an ID portrait in the worker (HN334-3.1): compares it with the enrolled face if there is one.

Without an enrolled face, or with a score between the thresholds, a person reviews the portrait. The score alone
refuses only a clear mismatch, and the student can submit another picture.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.tenancy import Scope
from backend.identity.errors import PicturesUnjudged
from backend.identity.events import PortraitJudged
from backend.identity.face.calibration.lookup import (
    StudentThresholds,
    ThresholdQuery,
    load_one_student_thresholds,
)
from backend.identity.face.match_references import load_reference
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.face.pictures import store_reencoded
from backend.identity.face.policy import enrolment_rules
from backend.identity.face.pool import face_pool
from backend.identity.face.reasons import reason_json, refusal_reason
from backend.identity.face.shared_pictures import (
    SHARED_PICTURE,
    PictureSet,
    SentPicture,
    Source,
    emit_shared,
    find_shared,
    store_picture_fingerprints,
)
from backend.identity.pictures.keys import load_picture_key
from backend.identity.pictures.store import get_picture
from backend.identity.policy import province_policy
from backend.identity.tables import Portrait
from backend.policy import PolicyAt
from biometrics.errors import BiometricsError
from biometrics.matching.decision import Decision, decide
from biometrics.matching.scoring import MatchReference
from biometrics.pictures.decoding import ImageBroken
from biometrics.pictures.quality import Reason
from biometrics.pool import FacePool, FaceWorkerLost
from biometrics.tasks import BurstResult, Shot

OTHER_PERSON = Reason(
    "portrait_other_person",
    "证件照与采集的人脸不符。请本人重新拍摄；如有疑问请联系学校管理员。",
    "The portrait does not match the enrolled face. Take a new one of yourself, or ask the registrar.",
)

NO_FACE_TO_COMPARE = Reason(
    "portrait_no_face_to_compare",
    "没有可比对的人脸（选择了非人脸方式，或采集尚未完成），由学校管理员核对证件照。",
    "There is no enrolled face to compare with (the non-face route, or an enrolment under way); the registrar checks the portrait.",
)
UNSURE = Reason(
    "portrait_unsure",
    "证件照与采集的人脸相似但不能确定，由学校管理员核对。",
    "The portrait resembles the enrolled face but not surely; the registrar checks it.",
)
NO_THRESHOLD = Reason(
    "portrait_no_threshold",
    "本校或本组学生尚无可用的人脸阈值，由学校管理员核对证件照。",
    "No face threshold was learned for your school or group yet; the registrar compares the portrait.",
)
LIKE_OTHER_STUDENT = Reason(
    "portrait_like_other_student",
    "证件照与另一名学生的照片几乎相同，由学校管理员核对。",
    "The portrait is nearly the same as a picture of another student; the registrar checks it.",
)


@dataclass(frozen=True, slots=True)
class PortraitVerdict:
    """The stored result of a judgement."""

    status: str
    score: float | None
    reasons: list[dict[str, Any]]


async def judge_portrait(app_context: AppContext, ref: PortraitRef) -> None:
    """Judge a portrait outside any transaction, then record the verdict in a short one.

    Retention deletes a refused picture soon after. An accepted one is the 学籍证件照 and is kept with the student.
    """
    policy = province_policy(app_context, app_context.clock())
    async with app_context.database.transaction(Scope.school(ref.school_id)) as session:
        portrait = await _lock_pending(session, ref)
        reference = await load_reference(
            session, app_context.keys, ref.student_id, policy, school_id=ref.school_id
        )
        key = await load_picture_key(session, app_context.keys, ref.student_id)
        thresholds = None
        if reference is not None:
            query = ThresholdQuery(ref.student_id, reference, policy, legal_day(app_context.clock()))
            thresholds = await load_one_student_thresholds(session, app_context, ref.school_id, query)
    if portrait is None:
        return
    try:
        image = await get_picture(app_context, key, ref.picture)
        verdict = _review(NO_FACE_TO_COMPARE)
        if reference is not None and thresholds is not None:
            verdict = await _compare(app_context, image, reference, policy, thresholds)
    except BiometricsError as refusal:
        verdict = _refuse(refusal_reason(refusal))
    pool = app_context.service(face_pool)
    sent = await _fingerprint(pool, ref, image) if verdict.status != "refused" else None
    stored = await store_reencoded(app_context, pool, key, ref.picture)
    if (stored is None or sent is None) and verdict.status != "refused":
        verdict = _refuse(refusal_reason(ImageBroken()))
    await _record_verdict(app_context, ref, verdict, stored, sent)


async def _fingerprint(pool: FacePool, ref: PortraitRef, image: bytes) -> PictureSet | None:
    """The picture with its hashes; None if it cannot be decoded."""
    try:
        hashes = await pool.fingerprint(image)
    except FaceWorkerLost:  # the picture crashed its workers
        return None
    if hashes is None:
        return None
    picture = SentPicture.of(image, hashes)
    return PictureSet(ref.school_id, ref.student_id, Source.PORTRAIT, ref.portrait_id, [picture])


async def refuse_unjudged_portrait(app_context: AppContext, ref: PortraitRef) -> None:
    """Refuse a portrait that no attempt could judge; left pending, it would block the student from sending another."""
    await _record_verdict(app_context, ref, _refuse(refusal_reason(PicturesUnjudged())))


def _refuse(*reasons: Reason, score: float | None = None) -> PortraitVerdict:
    return PortraitVerdict("refused", score, [reason_json(reason, 0) for reason in reasons])


def _review(*reasons: Reason, score: float | None = None) -> PortraitVerdict:
    return PortraitVerdict("review", score, [reason_json(reason, 0) for reason in reasons])


async def _compare(
    app_context: AppContext,
    image: bytes,
    reference: MatchReference,
    policy: PolicyAt,
    thresholds: StudentThresholds,
) -> PortraitVerdict:
    """Score the portrait against the student's template; without thresholds, the registrar compares it.

    The thresholds are those of check-ins, the mean of several pictures. A single picture scores lower, so they are strict.
    """
    result: BurstResult = await app_context.service(face_pool).verify(
        [Shot(image)], reference, enrolment_rules(policy)
    )
    score = result.score
    if score is None or result.quality_reasons:
        return _refuse(*result.quality_reasons)
    if thresholds.limits is None:
        return _review(NO_THRESHOLD, score=score.value)
    decision = decide(score.value, score.method, thresholds.limits)
    if decision is Decision.REJECT:
        return _refuse(OTHER_PERSON, score=score.value)
    if decision is Decision.STEP_UP:
        return _review(UNSURE, score=score.value)
    return PortraitVerdict("accepted", score.value, [])


async def _record_verdict(
    app_context: AppContext,
    ref: PortraitRef,
    verdict: PortraitVerdict,
    stored: bytes | None = None,
    sent: PictureSet | None = None,
) -> None:
    at = app_context.clock()
    async with app_context.database.transaction(ref.scope) as session:
        portrait = await _lock_pending(session, ref)
        if portrait is None:
            return
        if sent is not None and verdict.status != "refused":
            verdict = await _compare_with_others(app_context, session, sent, verdict, at)
        portrait.status, portrait.score, portrait.reasons = verdict.status, verdict.score, verdict.reasons
        portrait.decided_at = at
        if stored is not None:
            portrait.sha256 = hashlib.sha256(stored).digest()
        if verdict.status == "accepted":
            await replace_earlier(session, portrait)
        event = PortraitJudged(school_id=ref.school_id, student_id=ref.student_id, status=verdict.status)
        await outbox.emit(session, event, at)


async def _compare_with_others(
    app_context: AppContext, session: AsyncSession, sent: PictureSet, verdict: PortraitVerdict, at: datetime
) -> PortraitVerdict:
    """Refuse a picture of another student, and send a near duplicate to review; store the hashes of the others."""
    others = await find_shared(session, app_context.keys, sent, province_policy(app_context, at))
    await emit_shared(session, sent, others, at)
    if any(other.same for other in others):
        return _refuse(SHARED_PICTURE, score=verdict.score)
    await store_picture_fingerprints(session, app_context.keys, sent, at)
    if others:
        reasons = [*verdict.reasons, reason_json(LIKE_OTHER_STUDENT, 0)]
        return PortraitVerdict("review", verdict.score, reasons)
    return verdict


async def replace_earlier(session: AsyncSession, portrait: Portrait) -> None:
    """Mark earlier portraits of the student, accepted or in review, as replaced by this one."""
    earlier = (
        Portrait.student_id == portrait.student_id,
        Portrait.id != portrait.id,
        Portrait.status.in_(["accepted", "review"]),
    )
    await session.execute(update(Portrait).where(*earlier).values(status="replaced"))


async def _lock_pending(session: AsyncSession, ref: PortraitRef) -> Portrait | None:
    """The portrait, locked; None once it is decided."""
    pending = (
        select(Portrait).where(Portrait.id == ref.portrait_id, Portrait.status == "pending").with_for_update()
    )
    return (await session.scalars(pending)).one_or_none()
