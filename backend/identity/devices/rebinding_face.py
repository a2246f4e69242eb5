"""The face as second check of a new phone: shots are compared with the enrolled face in the worker.

The camera gets no challenge: a person with a photograph, the SMS and the ID number passes. So the old phone is told and
can object, and the cool-down follows.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.errors import BadInput, NotFound
from backend.core.jobs import enqueue
from backend.core.tenancy import Scope
from backend.identity.consents import FACE_CONSENTS, load_newest_consents
from backend.identity.devices.rebinding_judgement import RebindingRef
from backend.identity.devices.tasks import match_rebinding_face
from backend.identity.errors import EnrolmentPending, RebindingFaceUnavailable, TooManyAttempts
from backend.identity.face.pictures import check_containers, store_pictures
from backend.identity.face.policy import shot_decoding
from backend.identity.pictures.keys import ensure_picture_key
from backend.identity.policy import province_policy
from backend.identity.sign_in.authentication import VerifiedProof
from backend.identity.tables import FaceTemplateRecord, Registration
from backend.identity.unscoped_queries import find_registration_student, owns_registration
from backend.policy import PolicyAt


async def can_compare_face(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student has an enrolled face and consents to its use."""
    active = exists().where(
        FaceTemplateRecord.student_id == student_id, FaceTemplateRecord.status == "active"
    )
    consents = await load_newest_consents(session, student_id)
    agreed = all(kind in consents and consents[kind].granted for kind in FACE_CONSENTS)
    return agreed and bool(await session.scalar(select(active)))


async def submit_rebinding_face(
    app_context: AppContext, verified: VerifiedProof, registration_id: UUID, shots: list[bytes]
) -> Registration:
    """Store the shots and enqueue their comparison; after the code of the SMS, on the phone that registered.

    Raises `NotFound` before that, `RebindingFaceUnavailable`, `EnrolmentPending` and `TooManyAttempts`.
    """
    at = app_context.clock()
    policy = province_policy(app_context, at)
    _check_count(len(shots), policy)
    student = await find_registration_student(app_context.database, registration_id)
    if student is None:
        raise NotFound
    ref = RebindingRef(registration_id, student.school_id, student.student_id)
    async with app_context.database.transaction(ref.scope) as session:
        await _lock_open(session, ref, verified, policy, at)
        key = await ensure_picture_key(session, app_context.keys, ref.school_id, ref.student_id, at)
    check_containers(shots, shot_decoding(policy))
    await store_pictures(app_context, key, ref.pictures(len(shots)), shots)
    async with app_context.database.transaction(ref.scope) as session:
        registration = await _lock_open(session, ref, verified, policy, at)
        registration.face_status, registration.face_shots = "pending", len(shots)
        registration.face_tries += 1
        registration.face_reasons = []
        await enqueue(
            session,
            match_rebinding_face,
            registration_id=str(ref.registration_id),
            school_id=str(ref.school_id),
            student_id=str(ref.student_id),
        )
        return registration


async def load_registration(
    app_context: AppContext, verified: VerifiedProof, registration_id: UUID
) -> Registration | None:
    """The registration of this phone's key; None for a decoy, which must look open. Raises `NotFound` for others."""
    if not await owns_registration(app_context.database, registration_id, verified.proof.jkt):
        raise NotFound
    student = await find_registration_student(app_context.database, registration_id)
    if student is None:
        return None
    async with app_context.database.transaction(
        Scope.student(student.school_id, student.student_id)
    ) as session:
        query = select(Registration).where(
            Registration.id == registration_id, Registration.jkt == verified.proof.jkt
        )
        return (await session.scalars(query)).one_or_none()


def _check_count(count: int, policy: PolicyAt) -> None:
    maximum = policy.integer("verification.face.enrolment_shots_max")
    if not 1 <= count <= maximum:
        raise BadInput(
            field="shots",
            reason_zh=f"需要 1 至 {maximum} 张照片，收到 {count} 张",
            reason_en=f"1 to {maximum} shots are required, {count} were sent",
        )


async def _lock_open(
    session: AsyncSession, ref: RebindingRef, verified: VerifiedProof, policy: PolicyAt, at: datetime
) -> Registration:
    query = (
        select(Registration)
        .where(
            Registration.id == ref.registration_id,
            Registration.jkt == verified.proof.jkt,
            Registration.sms_confirmed_at.is_not(None),
            Registration.confirmed_at.is_(None),
            Registration.expires_at > at,
        )
        .with_for_update()
    )
    registration = (await session.scalars(query)).one_or_none()
    if registration is None:
        raise NotFound
    if registration.face_status == "pending":
        raise EnrolmentPending
    if not await can_compare_face(session, ref.student_id):
        raise RebindingFaceUnavailable
    day = timedelta(days=1)
    tries = select(func.coalesce(func.sum(Registration.face_tries), 0)).where(
        Registration.student_id == ref.student_id, Registration.created_at > at - day
    )
    if (await session.scalar(tries) or 0) >= policy.integer("identity.rebinding.max_face_attempts"):
        raise TooManyAttempts(wait_s=int(day.total_seconds()))
    return registration
