"""The codes on students' cards: issuing, checking, and the limits for wrong ones."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.bulk import RowResult, act_on_each
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.people.tables import Student
from backend.policy import PolicyAt
from backend.roll_call.errors import CardCodesExhausted
from backend.roll_call.tables import Obligation, StudentCode, WrongCardCode

CODE_DIGITS = 8


def _code_hash(keys: KeyRing, student_id: UUID, code: str) -> bytes:
    return hmac.new(keys.secret("blind-index"), f"card/{student_id}/{code}".encode(), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A row of a bulk issue, with the new code if there is one."""

    row: RowResult
    code: str | None


async def issue_student_codes(
    session: AsyncSession, actor: Actor, student_ids: Sequence[UUID], at: datetime, keys: KeyRing
) -> list[IssuedCode]:
    """Create a new code for each student's card, with one result for each. Raises `NotPermitted` for all of them."""
    _require_issuer(actor)
    codes: dict[UUID, str] = {}

    async def issue(student_id: UUID) -> bool:
        codes[student_id] = await issue_student_code(session, actor, student_id, at, keys)
        return True

    rows = await act_on_each(session, sorted(set(student_ids)), issue)
    return [IssuedCode(rows[each], codes.get(each)) for each in dict.fromkeys(student_ids)]


def _require_issuer(actor: Actor) -> None:
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="仅学校管理员可以制发学生卡", reason_en="only a registrar issues student cards"
        )


async def issue_student_code(
    session: AsyncSession, actor: Actor, student_id: UUID, at: datetime, keys: KeyRing
) -> str:
    """Create a new code for the student's card, replacing the previous one. The code is returned once and stored as a hash."""
    _require_issuer(actor)
    student = await session.get(Student, student_id)
    if student is None:
        raise NotFound
    code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
    session.add(
        StudentCode(
            id=new_id(),
            school_id=student.school_id,
            student_id=student_id,
            code_hash=_code_hash(keys, student_id, code),
            issued_by=actor.account_id,
            issued_at=at,
        )
    )
    audit.record(session, audit.Act("student_code.issue", "student", str(student_id), actor.org_path), at)
    return code


async def is_valid_code(session: AsyncSession, student_id: UUID, code: str, keys: KeyRing) -> bool:
    """Whether the code is the one of the student's newest card."""
    newest = await session.scalar(
        select(StudentCode.code_hash)
        .where(StudentCode.student_id == student_id)
        .order_by(StudentCode.issued_at.desc(), StudentCode.id.desc())
        .limit(1)
    )
    return newest is not None and hmac.compare_digest(newest, _code_hash(keys, student_id, code))


async def require_codes_left(
    session: AsyncSession, actor: Actor, student_id: UUID, policy: PolicyAt, at: datetime
) -> None:
    """Raise CardCodesExhausted if this attester, or all attesters for this card, entered too many wrong codes.

    Takes a lock per attester and per card, so that simultaneous guesses are counted.
    """
    for key in (f"card-codes/{actor.account_id}", f"card-codes/{student_id}"):
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
    since = at - policy.duration("attestation.wrong_codes.window")
    by_attester = await _count_wrong(session, WrongCardCode.attested_by == actor.account_id, since)
    for_card = await _count_wrong(session, WrongCardCode.student_id == student_id, since)
    if by_attester >= policy.integer("attestation.wrong_codes.attester") or for_card >= policy.integer(
        "attestation.wrong_codes.card"
    ):
        minutes = round(policy.duration("attestation.wrong_codes.window").total_seconds() / 60)
        raise CardCodesExhausted(minutes=minutes)


async def _count_wrong(session: AsyncSession, condition: ColumnElement[bool], since: datetime) -> int:
    count = await session.scalar(
        select(func.count()).select_from(WrongCardCode).where(condition, WrongCardCode.at > since)
    )
    return count or 0


def record_wrong_code(
    session: AsyncSession, actor: Actor, obligation: Obligation, session_id: UUID, at: datetime
) -> None:
    """Count a wrong code against attester and card, with an audit entry. The caller commits although it refuses."""
    session.add(
        WrongCardCode(
            id=new_id(),
            school_id=obligation.school_id,
            student_id=obligation.student_id,
            roll_call_id=obligation.roll_call_id,
            attested_by=actor.account_id,
            session_id=session_id,
            at=at,
        )
    )
    act = audit.Act("student_code.wrong", "student", str(obligation.student_id), actor.org_path)
    audit.record(session, act, at)
