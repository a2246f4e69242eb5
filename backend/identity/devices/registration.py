"""A phone becomes a student's: name and ID number, real name, a code by SMS, and the key is bound (HN334-3.1).

Nobody learns from the answers whether a person is on a roster: what is asked is recorded alike, and all that
differs happens later, in a job.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import DomainError, NotFound
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.core.keys import KeyRing
from backend.core.tenancy import Scope, apply_scope
from backend.identity import unscoped_queries
from backend.identity.devices.service import BindDevice, active_device, bind_device
from backend.identity.errors import (
    AccountDisabled,
    CodeExhausted,
    CodeExpired,
    CodeWrong,
    KeyRevoked,
    TooManyAttempts,
)
from backend.identity.policy import province_policy
from backend.identity.ports import real_name_verifier
from backend.identity.sign_in.access_tokens import IssuedToken, issue_phone_token
from backend.identity.sign_in.authentication import Proven
from backend.identity.tables import Account, Registration
from backend.notice.service import send_sms_code
from backend.people.queries import id_number
from backend.people.tables import Student

CODE_DIGITS = 6
_REFUSALS: dict[str, type[DomainError]] = {
    "unknown": NotFound,
    "expired": CodeExpired,
    "exhausted": CodeExhausted,
    "wrong": CodeWrong,
}


class RealNameUnavailable(DomainError):
    """The real-name service did not answer; the job is tried again."""

    code = "real_name_unavailable"
    status = 503
    zh = "实名核验服务暂时不可用，稍后自动重试。"
    en = "The real-name service is unavailable; it is tried again."


@dataclass(frozen=True, slots=True)
class Register:
    """What a person types on a new phone."""

    name: str
    id_number: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A registration and the seconds in which its code can be used."""

    id: UUID
    expires_in: int


def code_hash(keys: KeyRing, registration_id: UUID, code: str) -> bytes:
    """Keyed, because six digits are no secret from whoever reads the table."""
    return keys.blind_index(f"one-time-code:{registration_id}:{code}")


async def register(app_context: AppContext, proven: Proven, command: Register) -> Opened:
    """Open a registration and leave the rest to a job; raises TooManyAttempts by the phone's key alone."""
    from backend.identity.face.tasks import verify_registration  # noqa: PLC0415 - the job calls this module back

    at = app_context.clock()
    law = province_policy(app_context, at)
    window, life = law.duration("identity.otp.window"), law.duration("identity.otp.lifetime")
    asked = unscoped_queries.Asked(
        proof=proven.proof,
        index=app_context.keys.blind_index(command.id_number),
        name=command.name,
        at=at,
        expires_at=at + life,
    )
    bounds = unscoped_queries.CodeBounds(
        at - window, law.integer("identity.otp.max_codes"), law.integer("identity.otp.max_failures")
    )
    async with app_context.database.transaction(Scope.none()) as session:
        registration_id = await unscoped_queries.open_registration(session, asked, bounds)
        if registration_id is not None:
            await enqueue(session, verify_registration, registration_id=str(registration_id))
    if registration_id is None:
        raise TooManyAttempts(wait_s=int(window.total_seconds()))
    return Opened(registration_id, int(life.total_seconds()))


async def verify(app_context: AppContext, registration_id: UUID) -> None:
    """Ask the real-name service and send the code; raises RealNameUnavailable to be tried again.

    Does nothing for a decoy, an expired registration, or one already verified or refused.
    """
    candidate = await unscoped_queries.candidate_of(app_context.database, registration_id)
    if candidate is None:
        return
    scope = Scope.student(candidate.school_id, candidate.student_id)
    async with app_context.database.transaction(scope) as session:
        if await _open(session, registration_id, app_context.clock()) is None:
            return
        student = (await session.scalars(select(Student).where(Student.id == candidate.student_id))).one()
    answer = await app_context.service(real_name_verifier).verify(
        student.name, id_number(student, app_context.keys)
    )
    if answer == "unavailable":
        raise RealNameUnavailable
    at = app_context.clock()
    async with app_context.database.transaction(scope) as session:
        registration = await _open(session, registration_id, at)
        if registration is None:
            return
        if answer == "mismatch" or student.phone is None:
            registration.refused_reason = "real_name_mismatch" if answer == "mismatch" else "phone_missing"
            after = {"reason": registration.refused_reason}
            act = audit.Act(
                "RegistrationRefused", "student", str(student.id), candidate.school_path, after=after
            )
            audit.record(session, act, at)
            return
        code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
        registration.verified_at = at
        registration.otp_hash = code_hash(app_context.keys, registration_id, code)
        await send_sms_code(
            session,
            school_id=candidate.school_id,
            student_id=candidate.student_id,
            phone=student.phone,
            code=code,
            keys=app_context.keys,
            at=at,
        )


async def _open(session: AsyncSession, registration_id: UUID, at: datetime) -> Registration | None:
    """The registration, locked, if it still waits for its verification."""
    waiting = (
        select(Registration)
        .where(
            Registration.id == registration_id,
            Registration.otp_hash.is_(None),
            Registration.refused_reason.is_(None),
            Registration.expires_at > at,
        )
        .with_for_update()
    )
    return (await session.scalars(waiting)).one_or_none()


async def confirm(app_context: AppContext, proven: Proven, registration_id: UUID, code: str) -> IssuedToken:
    """Bind the key that asked for the code. Repeating a confirmation answers alike; a wrong code is counted."""
    at = app_context.clock()
    law = province_policy(app_context, at)
    candidate = await unscoped_queries.try_code(
        app_context.database,
        registration_id,
        proven.proof.jkt,
        code_hash(app_context.keys, registration_id, code),
        at,
        law.integer("identity.otp.max_attempts"),
    )
    if isinstance(candidate, str):
        raise _REFUSALS[candidate]
    scope = Scope.student(candidate.school_id, candidate.student_id)
    command = BindDevice(proven.proof.jkt, proven.proof.jwk, law.duration("identity.device_rebind.cool_down"))
    async with app_context.database.transaction(scope) as session:
        account_id = await _bind_once(session, registration_id, candidate, command, at)
    life = law.duration("identity.token.lifetime")
    return issue_phone_token(app_context.keys, account_id, proven.proof.jkt, at, life)


async def _bind_once(
    session: AsyncSession,
    registration_id: UUID,
    candidate: unscoped_queries.Candidate,
    command: BindDevice,
    at: datetime,
) -> UUID:
    """The first confirmation binds; the others wait for its row lock and find the work done."""
    locked = select(Registration).where(Registration.id == registration_id).with_for_update()
    registration = (await session.scalars(locked)).one()
    actor = await _account(session, candidate, at)
    await apply_scope(session, actor.scope)
    if registration.confirmed_at is not None:
        device = await active_device(session, candidate.student_id)
        if device is None or device.jkt != command.jkt:
            raise KeyRevoked
        return actor.account_id
    await bind_device(session, actor, command, at)
    registration.confirmed_at = at
    return actor.account_id


async def _account(session: AsyncSession, candidate: unscoped_queries.Candidate, at: datetime) -> Actor:
    """The student's account, opened now if there is none; raises AccountDisabled."""
    student = (await session.scalars(select(Student).where(Student.id == candidate.student_id))).one()
    new_account = insert(Account).values(
        id=new_id(),
        kind="student",
        org_id=candidate.school_id,
        org_path=candidate.school_path,
        school_id=candidate.school_id,
        student_id=candidate.student_id,
        display_name=student.name,
        status="active",
        failed_attempts=0,
        created_at=at,
    )
    await session.execute(new_account.on_conflict_do_nothing(index_elements=[Account.student_id]))
    found = select(Account).where(Account.student_id == candidate.student_id)
    account = (await session.scalars(found)).one()
    if account.status != "active":
        raise AccountDisabled
    return Actor(
        account_id=account.id,
        role="student",
        org_id=candidate.school_id,
        org_path=candidate.school_path,
        school_id=candidate.school_id,
        student_id=candidate.student_id,
    )


def token_for(app_context: AppContext, proven: Proven) -> IssuedToken:
    """A fresh token for a bound key: the key itself is the credential. Raises KeyRevoked or AccountDisabled."""
    actor = proven.student()
    at = app_context.clock()
    life = province_policy(app_context, at).duration("identity.token.lifetime")
    return issue_phone_token(app_context.keys, actor.account_id, proven.proof.jkt, at, life)
