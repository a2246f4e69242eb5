"""Judges an enrolment in the worker: the shots become a template, or the student gets reasons (HN334-3.1)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.app_context import AppContext
from backend.core.jobs import enqueue
from backend.identity.consents import FACE_CONSENTS, require_consents, switch_to_face_route
from backend.identity.errors import ConsentMissing, PicturesUnjudged
from backend.identity.events import FaceEnrolled, FaceEnrolmentRefused
from backend.identity.face.duplicates.policy import is_search_enabled
from backend.identity.face.duplicates.tasks import search_duplicates
from backend.identity.face.picture_refs import EnrolmentRef
from backend.identity.face.pictures import store_reencoded
from backend.identity.face.policy import enrolment_rules
from backend.identity.face.pool import face_pool
from backend.identity.face.reasons import reason_json, refusal_reason
from backend.identity.face.review.replacements import emit_requested
from backend.identity.face.selfie_fingerprints import store_enrolment_fingerprint
from backend.identity.face.shared_pictures import (
    SHARED_PICTURE,
    PictureSet,
    SentPicture,
    Source,
    emit_shared,
    find_shared,
    store_picture_fingerprints,
)
from backend.identity.face.templates import has_ever_enrolled, store_template
from backend.identity.pictures.keys import load_picture_key
from backend.identity.pictures.store import delete_pictures, get_picture
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment
from biometrics.errors import BiometricsError
from biometrics.pictures.quality import SHOT_REPEATED
from biometrics.tasks import EnrolmentResult, Shot
from biometrics.templates.sealing import PictureKey


async def judge_enrolment(app_context: AppContext, ref: EnrolmentRef) -> None:
    """Judge the shots outside any transaction, then record the verdict in a short one.

    Does nothing for an enrolment that is already decided.
    """
    async with app_context.database.transaction(ref.scope) as session:
        enrolment = await _lock_pending(session, ref)
        key = await load_picture_key(session, app_context.keys, ref.student_id)
    if enrolment is None:
        return
    pictures = ref.pictures(enrolment.shots)
    shots = [Shot(await get_picture(app_context, key, picture)) for picture in pictures]
    pool = app_context.service(face_pool)
    rules = enrolment_rules(province_policy(app_context, app_context.clock()), pool.enrolment_engine().key.id)
    try:
        verdict: EnrolmentResult | BiometricsError = await pool.enrol(shots, rules)
    except BiometricsError as refusal:
        verdict = refusal
    await _record_verdict(app_context, ref, verdict, [each.data for each in shots])
    for picture in pictures:
        await store_reencoded(app_context, pool, key, picture)
    await _delete_if_withdrawn(app_context, ref, key, len(shots))


async def _delete_if_withdrawn(
    app_context: AppContext, ref: EnrolmentRef, key: PictureKey | None, shots: int
) -> None:
    """Delete the shots that were stored again after retention deleted them, because a consent was revoked meanwhile."""
    async with app_context.database.transaction(ref.scope) as session:
        enrolment = await session.get_one(FaceEnrolment, ref.enrolment_id)
    if enrolment.shots_deleted_at is not None:
        await delete_pictures(app_context, key, ref.pictures(shots))


async def refuse_unjudged_enrolment(app_context: AppContext, ref: EnrolmentRef) -> None:
    """Refuse an enrolment that no attempt could judge; left pending, it would block the student from enrolling."""
    await _record_verdict(app_context, ref, PicturesUnjudged())


async def _record_verdict(
    app_context: AppContext,
    ref: EnrolmentRef,
    verdict: EnrolmentResult | BiometricsError | PicturesUnjudged,
    files: Sequence[bytes] = (),
) -> None:
    at = app_context.clock()
    async with app_context.database.transaction(ref.scope) as session:
        enrolment = await _lock_pending(session, ref)
        if enrolment is None:
            return
        status = "refused"
        if isinstance(verdict, BiometricsError | PicturesUnjudged):
            enrolment.reasons = [reason_json(refusal_reason(verdict), None)]
        else:
            enrolment.engine = str(verdict.engine.key)
            enrolment.reasons = _reasons(verdict)
            sent = _sent_pictures(ref, verdict, files)
            status = await _store_result(app_context, session, enrolment, verdict, sent, at)
        enrolment.status = status
        if status == "review":
            await emit_requested(session, enrolment, at)
            return
        enrolment.decided_at = at
        event_type = FaceEnrolled if status == "accepted" else FaceEnrolmentRefused
        event = event_type(school_id=ref.school_id, student_id=ref.student_id, enrolment_id=ref.enrolment_id)
        await outbox.emit(session, event, at)
        if status == "accepted" and is_search_enabled(province_policy(app_context, at)):
            student = {"school_id": str(ref.school_id), "student_id": str(ref.student_id)}
            await enqueue(session, search_duplicates, **student)


async def _store_result(
    app_context: AppContext,
    session: AsyncSession,
    enrolment: FaceEnrolment,
    result: EnrolmentResult,
    sent: PictureSet,
    at: datetime,
) -> str:
    """Store the template, and return the status of the enrolment.

    It is refused if there is no template, a picture is another student's, or consent was revoked meanwhile. It goes to
    review if the student has or had another template, because two persons must approve a replacement.
    """
    others = await find_shared(session, app_context.keys, sent, province_policy(app_context, at))
    if others:
        await emit_shared(session, sent, others, at)
        enrolment.reasons = [reason_json(SHARED_PICTURE, None)]
        return "refused"
    if result.template is None:
        return "refused"
    try:
        await require_consents(session, enrolment.student_id, *FACE_CONSENTS)
    except ConsentMissing as missing:
        enrolment.reasons = [reason_json(refusal_reason(missing), None)]
        return "refused"
    is_replacement = await has_ever_enrolled(session, enrolment.student_id)
    enrolment.status = "review" if is_replacement else "accepted"
    await store_template(session, app_context.keys, enrolment, result.template, at)
    usable = [report.fingerprint for report in result.shots if not report.reasons]
    hashes = [fingerprint.phash for fingerprint in usable if fingerprint is not None]
    await store_enrolment_fingerprint(
        session, app_context.keys, enrolment, result.template.descriptor(), hashes, at
    )
    await store_picture_fingerprints(session, app_context.keys, sent, at)
    if not is_replacement:
        await switch_to_face_route(session, enrolment.school_id, enrolment.student_id, at)
    return enrolment.status


def _sent_pictures(ref: EnrolmentRef, result: EnrolmentResult, files: Sequence[bytes]) -> PictureSet:
    """The shots that could be decoded, each once."""
    decoded = [
        SentPicture.of(data, report.fingerprint)
        for data, report in zip(files, result.shots, strict=True)
        if report.fingerprint is not None and SHOT_REPEATED not in report.reasons
    ]
    return PictureSet(ref.school_id, ref.student_id, Source.ENROLMENT, ref.enrolment_id, decoded)


async def _lock_pending(session: AsyncSession, ref: EnrolmentRef) -> FaceEnrolment | None:
    """The enrolment, locked; None once it is decided."""
    pending = (
        select(FaceEnrolment)
        .where(FaceEnrolment.id == ref.enrolment_id, FaceEnrolment.status == "pending")
        .with_for_update()
    )
    return (await session.scalars(pending)).one_or_none()


def _reasons(result: EnrolmentResult) -> list[dict[str, Any]]:
    each = [
        reason_json(reason, number) for number, report in enumerate(result.shots) for reason in report.reasons
    ]
    return each + [reason_json(reason, None) for reason in result.reasons]
