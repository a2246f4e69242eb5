"""Registering a phone for a student: name and ID number, real name, SMS code, then the key is bound (HN334-3.1).

The answers do not reveal whether a person is on a roster: every request is recorded in the same way, and everything
that differs happens later, in `registration_verification`.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import DomainError, NotFound
from backend.core.ids import new_id
from backend.core.jobs import enqueue
from backend.core.match_keys import name_key
from backend.core.tenancy import Scope, apply_scope
from backend.core.web.client import Client
from backend.identity import unscoped_queries
from backend.identity.devices.binding_codes import hash_binding_code, use_binding_code
from backend.identity.devices.rebinding_face import can_compare_face
from backend.identity.devices.registration_verification import hash_code
from backend.identity.devices.service import (
    BindDevice,
    bind_device,
    has_ever_bound,
    load_active_device,
)
from backend.identity.devices.tasks import verify_registration
from backend.identity.errors import (
    AccountIsDisabled,
    CodeExhausted,
    CodeExpired,
    CodeWrong,
    KeyRevoked,
    RebindingCheckNeeded,
    TooManyAttempts,
)
from backend.identity.events import RebindingRequested
from backend.identity.policy import province_policy
from backend.identity.sign_in.access_tokens import IssuedToken, issue_phone_token
from backend.identity.sign_in.authentication import VerifiedProof
from backend.identity.sign_in.limits import address_delays
from backend.identity.sign_in.unscoped_queries import count_attempt, forget_attempt
from backend.identity.tables import Account, Registration
from backend.people.tables import Student
from backend.policy import PolicyAt

_PURPOSE = "registration"
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
class ConfirmRegistration:
    """The code of the SMS, and the code that staff gave in person; at least one."""

    registration_id: UUID
    code: str | None
    in_person_code: str | None


@dataclass(frozen=True, slots=True)
class OpenedRegistration:
    """A registration, and for how many seconds its code can be used."""

    id: UUID
    expires_in: int


async def register_phone(
    app_context: AppContext, verified: VerifiedProof, command: RegisterPhone, client: Client
) -> OpenedRegistration:
    """Open a registration and enqueue its verification.

    Raises `TooManyAttempts`, which depends on the phone's key and, behind a configured proxy, its address alone.
    """
    at = app_context.clock()
    policy = province_policy(app_context, at)
    await _count_address(app_context, client, policy, at)
    window, life = policy.duration("identity.otp.window"), policy.duration("identity.otp.lifetime")
    request = unscoped_queries.RegistrationRequest(
        proof=verified.proof,
        id_number_index=app_context.keys.blind_index(command.id_number),
        name_key=name_key(command.name),
        at=at,
        expires_at=at + life,
    )
    limits = unscoped_queries.CodeLimits(
        at - window,
        policy.integer("identity.otp.max_codes"),
        policy.integer("identity.otp.max_codes_per_day"),
    )
    async with app_context.database.transaction(Scope.none()) as session:
        registration_id = await unscoped_queries.open_registration(session, request, limits)
        if registration_id is not None:
            await enqueue(session, verify_registration, registration_id=str(registration_id))
    if registration_id is None:
        raise TooManyAttempts(wait_s=int(window.total_seconds()))
    return OpenedRegistration(registration_id, int(life.total_seconds()))


async def _count_address(app_context: AppContext, client: Client, policy: PolicyAt, at: datetime) -> None:
    """Count the registration under the client's address until it is finished; raises `TooManyAttempts`."""
    key = client.address_key(app_context, _PURPOSE)
    if key is None:
        return
    delays = address_delays(policy, "identity.address.max_registrations")
    memory = policy.duration("identity.address.failures_remembered")
    until = await count_attempt(app_context.database, key, delays, memory, at)
    if until is not None:
        raise TooManyAttempts(wait_s=math.ceil((until - at).total_seconds()))


async def confirm_registration(
    app_context: AppContext, verified: VerifiedProof, command: ConfirmRegistration, client: Client
) -> IssuedToken:
    """Check the codes, bind the key that requested them, and issue a token.

    A student who bound a phone before needs a second check: raises `RebindingCheckNeeded` until the face was matched or
    a code given in person is sent with the code of the SMS. A repeated confirmation gets the same answer. A wrong code
    is counted against this registration only.
    """
    at = app_context.clock()
    policy = province_policy(app_context, at)
    checked = await _check_codes(app_context, verified, command, policy, at)
    student = checked.student
    cool_down = policy.duration("identity.device_rebind.cool_down")
    binding = BindDevice(verified.proof.jkt, verified.proof.jwk, cool_down)
    async with app_context.database.transaction(
        Scope.student(student.school_id, student.student_id)
    ) as session:
        registration = await _lock_registration(session, command.registration_id)
        actor = await _get_or_create_account(session, student, at)
        await apply_scope(session, actor.scope)
        needs_check = await _needs_check(session, registration, checked)
        if needs_check:
            if registration.sms_confirmed_at is None:
                event = RebindingRequested(
                    school_id=student.school_id,
                    student_id=student.student_id,
                    registration_id=registration.id,
                )
                await outbox.emit(session, event, at)
            registration.sms_confirmed_at = at
            registration.expires_at = at + policy.duration("identity.rebinding.check_lifetime")
            face = await can_compare_face(session, student.student_id)
        else:
            await _bind_once(session, registration, actor, binding, checked, at)
    if needs_check:
        raise RebindingCheckNeeded(face=face)
    await forget_attempt(app_context.database, None, client.address_key(app_context, _PURPOSE))
    life = policy.duration("identity.token.lifetime")
    return issue_phone_token(app_context.keys, actor.account_id, verified.proof.jkt, at, life)


async def _check_codes(
    app_context: AppContext,
    verified: VerifiedProof,
    command: ConfirmRegistration,
    policy: PolicyAt,
    at: datetime,
) -> unscoped_queries.CheckedCodes:
    keys, registration_id = app_context.keys, command.registration_id
    by_sms, in_person = command.code, command.in_person_code
    codes = unscoped_queries.CodesTried(
        None if by_sms is None else hash_code(keys, registration_id, by_sms),
        None if in_person is None else hash_binding_code(keys, in_person),
    )
    max_tries = policy.integer("identity.otp.max_attempts")
    checked = await unscoped_queries.check_codes(
        app_context.database, registration_id, verified.proof.jkt, codes, at, max_tries
    )
    if isinstance(checked, str):
        raise _CODE_ERRORS[checked]
    return checked


async def _lock_registration(session: AsyncSession, registration_id: UUID) -> Registration:
    locked = select(Registration).where(Registration.id == registration_id).with_for_update()
    return (await session.scalars(locked)).one()


async def _needs_check(
    session: AsyncSession, registration: Registration, checked: unscoped_queries.CheckedCodes
) -> bool:
    """Whether a second check is missing: for every phone but the student's first, besides the code of the SMS."""
    if registration.confirmed_at is not None:
        return False
    if not await has_ever_bound(session, checked.student.student_id):
        return False
    if not checked.by_sms:
        raise CodeWrong
    return checked.binding_code_id is None and registration.face_status != "matched"


async def _bind_once(
    session: AsyncSession,
    registration: Registration,
    actor: Actor,
    command: BindDevice,
    checked: unscoped_queries.CheckedCodes,
    at: datetime,
) -> None:
    """Bind the key at the first confirmation. Parallel ones wait for the row lock and find it bound."""
    assert actor.student_id is not None
    if registration.confirmed_at is not None:
        device = await load_active_device(session, actor.student_id)
        if device is None or device.jkt != command.jkt:
            raise KeyRevoked
        return
    device = await bind_device(session, actor, command, at)
    registration.confirmed_at = at
    after: dict[str, Any] = {
        "device_id": str(device.id),
        "sms": checked.by_sms,
        "face": registration.face_status == "matched",
    }
    if checked.binding_code_id is not None:
        issued_by = await use_binding_code(session, checked.binding_code_id, registration.id, at)
        after |= {"binding_code_id": str(checked.binding_code_id), "code_issued_by": str(issued_by)}
    act = audit.Act("RegistrationConfirmed", "student", str(actor.student_id), actor.org_path, after=after)
    audit.record(session, act, at)


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
