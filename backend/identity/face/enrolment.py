"""Submits shots to enrol a face (HN334-3.1). They are stored only with consent, and a worker evaluates them.

See `enrolment_judgement`. An enrolled face is never overwritten: a student who has or had one proposes a replacement, which two
persons approve (`review.replacements`).
"""

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import BadInput
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.identity.consents import FACE_CONSENTS, require_consents
from backend.identity.devices.cool_down import require_no_cool_down
from backend.identity.errors import (
    EnrolmentPending,
    FaceAlreadyEnrolled,
    ShotsRepeated,
    TooManyAttempts,
)
from backend.identity.face.picture_refs import EnrolmentRef
from backend.identity.face.pictures import check_containers, store_pictures
from backend.identity.face.policy import shot_decoding
from backend.identity.face.review.errors import ReplacementPending
from backend.identity.face.tasks import enrol_face
from backend.identity.face.templates import has_active_template
from backend.identity.pictures.keys import ensure_picture_key
from backend.identity.pictures.store import delete_pictures
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment
from backend.policy import PolicyAt


async def submit_shots(app_context: AppContext, actor: Actor, shots: list[bytes]) -> FaceEnrolment:
    """Store the shots of a student without an enrolled face, and enqueue their judgement. Raises as `_submit`.

    Raises `FaceAlreadyEnrolled` with an active template.
    """
    assert actor.student_id is not None
    async with app_context.database.transaction(actor.scope) as session:
        if await has_active_template(session, actor.student_id):
            raise FaceAlreadyEnrolled
    return await _submit(app_context, actor, shots)


async def submit_replacement(app_context: AppContext, actor: Actor, shots: list[bytes]) -> FaceEnrolment:
    """Store shots that are to replace the enrolled face, and enqueue their judgement. Raises as `_submit`."""
    return await _submit(app_context, actor, shots)


async def _submit(app_context: AppContext, actor: Actor, shots: list[bytes]) -> FaceEnrolment:
    """Store the shots and enqueue their judgement.

    Consent is checked before the shots are stored, and again in the transaction that records the enrolment.
    Raises `BadInput`, `ShotsRepeated`, `ConsentMissing`, `EnrolmentPending`, `ReplacementPending` and `TooManyAttempts`.
    """
    assert actor.school_id is not None
    assert actor.student_id is not None
    at = app_context.clock()
    policy = province_policy(app_context, at)
    _check_count(len(shots), policy)
    async with app_context.database.transaction(actor.scope) as session:
        await _require_eligible(session, actor.student_id, policy, at)
        key = await ensure_picture_key(session, app_context.keys, actor.school_id, actor.student_id, at)
    check_containers(shots, shot_decoding(policy))
    if len({hashlib.sha256(shot).digest() for shot in shots}) < len(shots):
        raise ShotsRepeated
    ref = EnrolmentRef(new_id(), actor.school_id, actor.student_id)
    pictures = ref.pictures(len(shots))
    await store_pictures(app_context, key, pictures, shots)
    try:
        async with app_context.database.transaction(actor.scope) as session:
            await _require_eligible(session, actor.student_id, policy, at)
            return await _create_enrolment(session, ref, len(shots), at)
    except BaseException:
        await delete_pictures(app_context, key, pictures)
        raise


def _check_count(count: int, policy: PolicyAt) -> None:
    minimum = policy.integer("verification.face.enrolment_shots")
    maximum = policy.integer("verification.face.enrolment_shots_max")
    if not minimum <= count <= maximum:
        raise BadInput(
            field="shots",
            reason_zh=f"需要 {minimum} 至 {maximum} 张照片，收到 {count} 张",
            reason_en=f"{minimum} to {maximum} shots are required, {count} were sent",
        )


async def _require_eligible(session: AsyncSession, student_id: UUID, policy: PolicyAt, at: datetime) -> None:
    await require_consents(session, student_id, *FACE_CONSENTS)
    await require_no_cool_down(session, student_id, at)
    newest = await load_newest_enrolment(session, student_id)
    if newest is not None and newest.status == "review":
        raise ReplacementPending
    delay = policy.duration("verification.face.delay_after_failures")
    failures = (
        select(func.count())
        .select_from(FaceEnrolment)
        .where(
            FaceEnrolment.student_id == student_id,
            FaceEnrolment.status == "refused",
            FaceEnrolment.engine.is_not(None),  # a technical failure, without an engine, does not count
            FaceEnrolment.decided_at > at - delay,
        )
    )
    if (await session.scalar(failures) or 0) >= policy.integer("verification.face.max_failed_attempts"):
        raise TooManyAttempts(wait_s=int(delay.total_seconds()))


async def _create_enrolment(
    session: AsyncSession, ref: EnrolmentRef, shots: int, at: datetime
) -> FaceEnrolment:
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
    await enqueue(session, enrol_face, **ref.event_payload)
    return enrolment


async def load_newest_enrolment(session: AsyncSession, student_id: UUID) -> FaceEnrolment | None:
    """The student's latest enrolment, whatever its status."""
    newest = (
        select(FaceEnrolment)
        .where(FaceEnrolment.student_id == student_id)
        .order_by(FaceEnrolment.submitted_at.desc(), FaceEnrolment.id.desc())
        .limit(1)
    )
    return (await session.scalars(newest)).one_or_none()
