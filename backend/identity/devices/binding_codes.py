"""Codes that staff give to a student in person, to bind a phone where messages or a face cannot prove who it is."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.match_keys import id_key
from backend.identity.devices.tables import BindingCode
from backend.people.queries import load_student
from backend.people.tables import Student

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 10
"""50 bits: it cannot be guessed, however many registrations try."""


@dataclass(frozen=True, slots=True)
class IssueBindingCode:
    """Whose identity was checked in person, and how."""

    student_id: UUID
    identity_check: str
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class IssuedBindingCode:
    """The code, which is shown once."""

    code: str
    expires_at: datetime


def hash_binding_code(keys: KeyRing, code: str) -> bytes:
    """The stored form of a code; case does not matter."""
    return keys.keyed_hash(f"binding-code:{id_key(code)}")


async def issue_binding_code(
    session: AsyncSession, actor: Actor, keys: KeyRing, command: IssueBindingCode, at: datetime
) -> IssuedBindingCode:
    """Create a code for a student who stands before the counselor of the class or the registrar."""
    await load_student(session, actor, keys, command.student_id)
    if actor.role not in {"counselor", "registrar"}:
        raise NotPermitted(
            reason_zh="当面绑定码由班级辅导员或学校管理员当面核对本人后发放",
            reason_en="the counselor of the class or the registrar gives the code, after checking the student in person",
        )
    student = (await session.scalars(select(Student).where(Student.id == command.student_id))).one()
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    row = BindingCode(
        id=new_id(),
        school_id=student.school_id,
        student_id=student.id,
        code_hash=hash_binding_code(keys, code),
        identity_check=command.identity_check,
        issued_by=actor.account_id,
        issued_at=at,
        expires_at=at + command.lifetime,
    )
    session.add(row)
    after = {"binding_code_id": str(row.id), "identity_check": command.identity_check}
    act = audit.Act("BindingCodeIssued", "student", str(student.id), actor.org_path, after=after)
    audit.record(session, act, at)
    return IssuedBindingCode(code, row.expires_at)


async def use_binding_code(session: AsyncSession, code_id: UUID, registration_id: UUID, at: datetime) -> UUID:
    """Mark a code as used; returns who issued it."""
    used = (
        update(BindingCode)
        .where(BindingCode.id == code_id)
        .values(used_at=at, registration_id=registration_id)
        .returning(BindingCode.issued_by)
    )
    issued_by: UUID = (await session.execute(used)).scalar_one()
    return issued_by
