"""Registering a phone for a student: name and ID number, real name, SMS code, then the key is bound (HN334-3.1).

The answers do not reveal whether a person is on a roster: every request is recorded in the same way, and everything
that differs happens later, in `registration_verification`.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import DomainError, NotFound
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.core.match_keys import name_key
from backend.core.tenancy import Scope, apply_scope
from backend.identity import unscoped_queries
from backend.identity.devices.registration_verification import hash_code
from backend.identity.devices.service import BindDevice, bind_device, load_active_device
from backend.identity.devices.tasks import verify_registration
from backend.identity.errors import (
    AccountIsDisabled,
    CodeExhausted,
    CodeExpired,
    CodeWrong,
    KeyRevoked,
    TooManyAttempts,
)
from backend.identity.policy import province_policy
from backend.identity.sign_in.access_tokens import IssuedToken, issue_phone_token
from backend.identity.sign_in.authentication import VerifiedProof
from backend.identity.tables import Account, Registration
from backend.people.tables import Student

_CODE_ERRORS: dict[str, type[DomainError]] = {
    "unknown": NotFound,
    "expired": CodeExpired,
    "exhausted": CodeExhausted,
    "wrong": CodeWrong,
}


@dataclass(frozen=True, slots=True)
class RegisterPhone:
    """What a person enters on a new phone."""

    name: str
    id_number: str


@dataclass(frozen=True, slots=True)
class OpenedRegistration:
    """A registration, and for how many seconds its code can be used."""

    id: UUID
    expires_in: int


async def register_phone(
    app_context: AppContext, verified: VerifiedProof, command: RegisterPhone
) -> OpenedRegistration:
    """Open a registration and enqueue its verification.

    Raises `TooManyAttempts`, which depends on the phone's key alone.
    """
    at = app_context.clock()
    policy = province_policy(app_context, at)
    window, life = policy.duration("identity.otp.window"), policy.duration("identity.otp.lifetime")
    request = unscoped_queries.RegistrationRequest(
        proof=verified.proof,
        id_number_index=app_context.keys.blind_index(command.id_number),
        name_key=name_key(command.name),
        at=at,
        expires_at=at + life,
    )
    limits = unscoped_queries.CodeLimits(
        at - window, policy.integer("identity.otp.max_codes"), policy.integer("identity.otp.max_failures")
    )
    async with app_context.database.transaction(Scope.none()) as session:
        registration_id = await unscoped_queries.open_registration(session, request, limits)
        if registration_id is not None:
            await enqueue(session, verify_registration, registration_id=str(registration_id))
    if registration_id is None:
        raise TooManyAttempts(wait_s=int(window.total_seconds()))
    return OpenedRegistration(registration_id, int(life.total_seconds()))


async def confirm_registration(
    app_context: AppContext, verified: VerifiedProof, registration_id: UUID, code: str
) -> IssuedToken:
    """Check the code, bind the key that requested it, and issue a token.

    A repeated confirmation gets the same answer. A wrong code is counted.
    """
    at = app_context.clock()
    policy = province_policy(app_context, at)
    student_ref = await unscoped_queries.check_code(
        app_context.database,
        registration_id,
        verified.proof.jkt,
        hash_code(app_context.keys, registration_id, code),
        at,
        policy.integer("identity.otp.max_attempts"),
    )
    if isinstance(student_ref, str):
        raise _CODE_ERRORS[student_ref]
    scope = Scope.student(student_ref.school_id, student_ref.student_id)
    cool_down = policy.duration("identity.device_rebind.cool_down")
    command = BindDevice(verified.proof.jkt, verified.proof.jwk, cool_down)
    async with app_context.database.transaction(scope) as session:
        account_id = await _bind_once(session, registration_id, student_ref, command, at)
    life = policy.duration("identity.token.lifetime")
    return issue_phone_token(app_context.keys, account_id, verified.proof.jkt, at, life)


async def _bind_once(
    session: AsyncSession,
    registration_id: UUID,
    student_ref: unscoped_queries.RegistrationStudent,
    command: BindDevice,
    at: datetime,
) -> UUID:
    """Bind the key at the first confirmation. Parallel ones wait for the row lock and find it bound."""
    locked = select(Registration).where(Registration.id == registration_id).with_for_update()
    registration = (await session.scalars(locked)).one()
    actor = await _get_or_create_account(session, student_ref, at)
    await apply_scope(session, actor.scope)
    if registration.confirmed_at is not None:
        device = await load_active_device(session, student_ref.student_id)
        if device is None or device.jkt != command.jkt:
            raise KeyRevoked
        return actor.account_id
    await bind_device(session, actor, command, at)
    registration.confirmed_at = at
    return actor.account_id


async def _get_or_create_account(
    session: AsyncSession, student_ref: unscoped_queries.RegistrationStudent, at: datetime
) -> Actor:
    """The student's account, created if there is none; raises `AccountIsDisabled`."""
    student = (await session.scalars(select(Student).where(Student.id == student_ref.student_id))).one()
    new_account = insert(Account).values(
        id=new_id(),
        kind="student",
        org_id=student_ref.school_id,
        org_path=student_ref.school_path,
        school_id=student_ref.school_id,
        student_id=student_ref.student_id,
        display_name=student.name,
        status="active",
        created_at=at,
    )
    await session.execute(new_account.on_conflict_do_nothing(index_elements=[Account.student_id]))
    query = select(Account).where(Account.student_id == student_ref.student_id)
    account = (await session.scalars(query)).one()
    if account.status != "active":
        raise AccountIsDisabled
    return Actor(
        account_id=account.id,
        role="student",
        org_id=student_ref.school_id,
        org_path=student_ref.school_path,
        school_id=student_ref.school_id,
        student_id=student_ref.student_id,
    )


def issue_token(app_context: AppContext, verified: VerifiedProof) -> IssuedToken:
    """A new token for a bound key: the key itself is the credential. Raises `KeyRevoked` or `AccountIsDisabled`."""
    actor = verified.require_student()
    at = app_context.clock()
    life = province_policy(app_context, at).duration("identity.token.lifetime")
    return issue_phone_token(app_context.keys, actor.account_id, verified.proof.jkt, at, life)
