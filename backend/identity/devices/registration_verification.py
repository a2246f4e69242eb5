"""Verifying a registration in the worker: the real-name service first, then a one-time code by SMS (HN334-3.1)."""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.app_context import AppContext
from backend.core.errors import DomainError
from backend.core.keys import KeyRing
from backend.core.match_keys import id_key, legal_name
from backend.core.tenancy import Scope
from backend.identity import unscoped_queries
from backend.identity.events import RegistrationCodesExhausted
from backend.identity.ports import RealNameAnswer, real_name_verifier
from backend.identity.tables import Registration
from backend.notice.service import send_sms_code
from backend.people.queries import decrypt_id_number
from backend.people.tables import Student

CODE_DIGITS = 6
TOO_MANY_CODES = "too_many_codes"
"""The reason of a registration above the student's limit of codes; see `definer.open_registration`."""


class RealNameUnavailable(DomainError):
    """The real-name service did not answer; the job is retried."""

    code = "real_name_unavailable"
    status = 503
    zh = "实名核验服务暂时不可用，稍后自动重试。"
    en = "The real-name service is unavailable. The check is retried automatically."


def hash_code(keys: KeyRing, registration_id: UUID, code: str) -> bytes:
    """The stored form of a one-time code. Keyed, because six digits could be found from a plain hash."""
    return keys.keyed_hash(f"one-time-code:{registration_id}:{id_key(code)}")


async def verify_registration(app_context: AppContext, registration_id: UUID) -> None:
    """Ask the real-name service and send the code; raises `RealNameUnavailable`, so that the job is retried.

    Does nothing for a decoy, an expired registration, or one that was already verified or refused.
    """
    student_ref = await unscoped_queries.find_registration_student(app_context.database, registration_id)
    if student_ref is None:
        return
    scope = Scope.student(student_ref.school_id, student_ref.student_id)
    async with app_context.database.transaction(scope) as session:
        if await _lock_unverified(session, registration_id, app_context.clock()) is None:
            await _report_exhausted(session, registration_id, student_ref.school_path, app_context.clock())
            return
        student = (await session.scalars(select(Student).where(Student.id == student_ref.student_id))).one()
    answer = await app_context.service(real_name_verifier).verify(
        legal_name(student.name), decrypt_id_number(student, app_context.keys)
    )
    if answer == "unavailable":
        raise RealNameUnavailable
    at = app_context.clock()
    async with app_context.database.transaction(scope) as session:
        registration = await _lock_unverified(session, registration_id, at)
        if registration is None:
            return
        if answer == "mismatch" or student.phone is None:
            _refuse(session, registration, student, student_ref.school_path, answer, at)
        else:
            await _send_code(session, app_context.keys, registration, student.phone, at)


async def _lock_unverified(session: AsyncSession, registration_id: UUID, at: datetime) -> Registration | None:
    """The registration, locked; None once it is verified, refused or expired."""
    unverified = (
        select(Registration)
        .where(
            Registration.id == registration_id,
            Registration.otp_hash.is_(None),
            Registration.refused_reason.is_(None),
            Registration.expires_at > at,
        )
        .with_for_update()
    )
    return (await session.scalars(unverified)).one_or_none()


async def _report_exhausted(
    session: AsyncSession, registration_id: UUID, school_path: str, at: datetime
) -> None:
    """Have the counselor told once a day that no more codes are sent to a student."""
    registration = await session.get_one(Registration, registration_id)
    if registration.refused_reason != TOO_MANY_CODES or registration.student_id is None:
        return
    earlier = exists().where(
        Registration.student_id == registration.student_id,
        Registration.refused_reason == TOO_MANY_CODES,
        Registration.created_at > registration.created_at - timedelta(days=1),
        Registration.id < registration.id,
    )
    if await session.scalar(select(earlier)):
        return
    assert registration.school_id is not None
    event = RegistrationCodesExhausted(
        school_id=registration.school_id,
        path=school_path,
        student_id=registration.student_id,
        registration_id=registration.id,
    )
    await outbox.emit(session, event, at)


def _refuse(
    session: AsyncSession,
    registration: Registration,
    student: Student,
    school_path: str,
    answer: RealNameAnswer,
    at: datetime,
) -> None:
    registration.refused_reason = "real_name_mismatch" if answer == "mismatch" else "phone_missing"
    after = {"reason": registration.refused_reason}
    act = audit.Act("RegistrationRefused", "student", str(student.id), school_path, after=after)
    audit.record(session, act, at)


async def _send_code(
    session: AsyncSession, keys: KeyRing, registration: Registration, phone: str, at: datetime
) -> None:
    assert registration.school_id is not None
    assert registration.student_id is not None
    code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
    registration.verified_at = at
    registration.otp_hash = hash_code(keys, registration.id, code)
    await send_sms_code(
        session,
        school_id=registration.school_id,
        student_id=registration.student_id,
        phone=phone,
        code=code,
        keys=keys,
        at=at,
    )
