"""Inviting many counselors of a school from a list, with one result a row (HN334-3.2).

A check does the same and takes everything back, so that it finds exactly what the invitation would refuse.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import BadInput, DomainError, NotPermitted
from backend.core.match_keys import match_key
from backend.identity.accounts.errors import ClassHasCounselor, ClassNameUnknown
from backend.identity.accounts.staff_accounts import Invitation, InviteAccount, invite_account
from backend.people.counselors import AssignClasses, assign_classes
from backend.people.tables import ClassCounselor, SchoolClass
from backend.policy import PolicyAt

MAX_ROWS = 100
_PHONE = re.compile(r"[0-9+ -]{5,20}")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{2,63}")


@dataclass(frozen=True, slots=True)
class CounselorRow:
    """A row of the list. Without a login the phone number is the login; the classes are assigned to the counselor."""

    name: str
    phone: str
    login: str = ""
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InvitedRow:
    """What became of a row: the invitation, or why there is none."""

    row: CounselorRow
    login: str
    invitation: Invitation | None = None
    error: DomainError | None = None


async def invite_counselors(
    session: AsyncSession, actor: Actor, rows: Sequence[CounselorRow], policy: PolicyAt, at: datetime
) -> list[InvitedRow]:
    """Invite the counselor of each row, in a savepoint of its own, and assign the classes. Raises `NotPermitted`."""
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="辅导员由学校管理员邀请", reason_en="the school's registrar invites its counselors"
        )
    results = []
    for row in rows:
        login = _login_of(row)
        try:
            async with session.begin_nested():
                invitation = await _invite(session, actor, row, policy, at)
            results.append(InvitedRow(row, login, invitation))
        except DomainError as error:
            results.append(InvitedRow(row, login, error=error))
    return results


async def check_counselors(
    session: AsyncSession, actor: Actor, rows: Sequence[CounselorRow], policy: PolicyAt, at: datetime
) -> list[InvitedRow]:
    """What `invite_counselors` would answer now; nothing is kept."""
    trial = await session.begin_nested()
    try:
        return await invite_counselors(session, actor, rows, policy, at)
    finally:
        await trial.rollback()


def _login_of(row: CounselorRow) -> str:
    return (row.login.strip() or re.sub(r"[^0-9]", "", row.phone)).lower()


async def _invite(
    session: AsyncSession, actor: Actor, row: CounselorRow, policy: PolicyAt, at: datetime
) -> Invitation:
    name, phone, login = row.name.strip(), row.phone.strip(), _login_of(row)
    if not name:
        raise BadInput(field="name", reason_zh="请填写姓名", reason_en="give the name")
    if not _PHONE.fullmatch(phone):
        raise BadInput(field="phone", reason_zh="应为电话号码", reason_en="must be a phone number")
    if not _LOGIN.fullmatch(login):
        reason = (
            "应为 3 至 64 个字母、数字或 . _ @ -，以字母或数字开头",
            "must be 3 to 64 letters, digits or . _ @ -, and begin with a letter or digit",
        )
        raise BadInput(field="login", reason_zh=reason[0], reason_en=reason[1])
    class_ids = frozenset([await _find_free_class(session, actor, each) for each in row.class_names])
    command = InviteAccount("counselor", actor.org_id, login, name, phone)
    invitation = await invite_account(session, actor, command, policy, at)
    if class_ids:
        assert invitation.account.counselor_id is not None
        await assign_classes(session, actor, AssignClasses(invitation.account.counselor_id, class_ids), at)
    return invitation


async def _find_free_class(session: AsyncSession, actor: Actor, name: str) -> UUID:
    """The class of the school with this name, which has no counselor yet."""
    has_counselor = exists().where(ClassCounselor.class_id == SchoolClass.id, ClassCounselor.until.is_(None))
    named = await session.execute(
        select(SchoolClass.id, has_counselor).where(
            SchoolClass.school_id == actor.school_id, SchoolClass.name_key == match_key(name)
        )
    )
    found = named.one_or_none()
    if found is None:
        raise ClassNameUnknown(name=name)
    class_id, is_taken = found
    if is_taken:
        raise ClassHasCounselor(name=name)
    return class_id
