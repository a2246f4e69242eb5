"""Reading appeals: the cases, what was said in them, and what each is against.

Superiors read those of the schools below them, a school its own, a student the own; counselors learn of them by
notices. Absent and forbidden answer alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.policy import AppealPolicy
from backend.appeal.rules import CaseState, Due, due
from backend.appeal.tables import AppealCase, AppealDue, AppealMessage, AppealMessageRead
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.org.calendars import working_calendar
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachmentView, attachments_of
from backend.standing.store.tables import AppealDecided, AppealFiled, AppealWithdrawn

MESSAGE = "appeal_message"
"""What attachments hang on."""


@dataclass(frozen=True, slots=True)
class AppealView:
    """An appeal, where it was routed, and how it ended."""

    filed: AppealFiled
    case: AppealCase
    due_at: datetime | None
    decided: AppealDecided | None
    withdrawn: AppealWithdrawn | None
    unit_name: str

    @property
    def state(self) -> CaseState:
        """Where it stands."""
        if self.withdrawn is not None:
            return CaseState.WITHDRAWN
        if self.decided is None:
            return CaseState.OPEN
        return CaseState.UPHELD if self.decided.upheld else CaseState.REJECTED

    def overdue(self, at: datetime) -> bool:
        """Open past its end; what has no computable end is not overdue."""
        return self.state is CaseState.OPEN and self.due_at is not None and self.due_at <= at


def appeals() -> Select[*tuple[Any, ...]]:
    """The columns of `AppealView`."""
    return (
        select(AppealFiled, AppealCase, AppealDue.due_at, AppealDecided, AppealWithdrawn, OrgUnit.name)
        .join(AppealCase, AppealCase.appeal_id == AppealFiled.id)
        .join(OrgUnit, OrgUnit.id == AppealCase.unit_id)
        .outerjoin(AppealDue, AppealDue.appeal_id == AppealFiled.id)
        .outerjoin(AppealDecided, AppealDecided.appeal_id == AppealFiled.id)
        .outerjoin(AppealWithdrawn, AppealWithdrawn.appeal_id == AppealFiled.id)
    )


OPEN = and_(AppealDecided.appeal_id.is_(None), AppealWithdrawn.appeal_id.is_(None))
_STATES: dict[CaseState, ColumnElement[bool]] = {
    CaseState.OPEN: OPEN,
    CaseState.UPHELD: AppealDecided.upheld.is_(True),
    CaseState.REJECTED: AppealDecided.upheld.is_(False),
    CaseState.WITHDRAWN: AppealWithdrawn.appeal_id.is_not(None),
}


@dataclass(frozen=True, slots=True)
class AppealSearch:
    """Which appeals; what is not given narrows nothing."""

    to_decide: bool = False
    filed_by_school: bool = False
    state: CaseState | None = None
    overdue: bool = False
    student_id: UUID | None = None


async def appeals_page(
    session: AsyncSession, actor: Actor, search: AppealSearch, at: datetime, before: UUID | None, limit: int
) -> Sequence[AppealView]:
    """At most `limit` appeals that the caller may read, newest first, behind the id `before`."""
    page = _read_by(actor).order_by(AppealFiled.id.desc()).limit(limit)
    if search.to_decide:
        page = page.where(AppealCase.unit_id == actor.org_id, OPEN)
    if search.filed_by_school:
        page = page.where(AppealFiled.appellant == "school")
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.overdue:
        page = page.where(OPEN, AppealDue.due_at <= at)
    if search.student_id is not None:
        page = page.where(AppealFiled.student_id == search.student_id)
    if before is not None:
        page = page.where(AppealFiled.id < before)
    return [AppealView(*row) for row in await session.execute(page)]


def _read_by(actor: Actor) -> Select[*tuple[Any, ...]]:
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="申诉由学校管理员和上级主管部门办理",
            reason_en="appeals are for registrars and superiors",
        )
    if actor.role == "student":
        return appeals().where(AppealFiled.student_id == actor.student_id)
    return appeals()


async def appeal_for(session: AsyncSession, actor: Actor, appeal_id: UUID) -> AppealView:
    """One appeal that the caller may read; raises `NotFound`."""
    found = (await session.execute(_read_by(actor).where(AppealFiled.id == appeal_id))).one_or_none()
    if found is None:
        raise NotFound
    return AppealView(*found)


async def due_of(session: AsyncSession, appeal: AppealView, school_path: str) -> Due:
    """The end of the term to decide, or the calendar year that is missing for it."""
    if appeal.due_at is not None:
        return Due(appeal.due_at, None)
    return await computed_due(session, appeal.filed.filed_at, school_path)


async def computed_due(session: AsyncSession, filed_at: datetime, school_path: str) -> Due:
    """By the law of the day of filing and the calendar as loaded now."""
    law = AppealPolicy.on(legal_day(filed_at), school_path)
    return due(filed_at, law.working_days, await working_calendar(session))


# --- what was said ---


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message with its files; `read_at`: first read by an account of the other side."""

    message: AppealMessage
    attachments: Sequence[AttachmentView]
    read_at: datetime | None


async def messages_page(
    session: AsyncSession, appeal_id: UUID, after: UUID | None, limit: int
) -> Sequence[MessageView]:
    """At most `limit` messages behind the one named, oldest first. Whoever calls may read the appeal."""
    page = (
        select(AppealMessage)
        .where(AppealMessage.appeal_id == appeal_id)
        .order_by(AppealMessage.seq)
        .limit(limit)
    )
    if after is not None:
        named = select(AppealMessage.seq).where(
            AppealMessage.appeal_id == appeal_id, AppealMessage.id == after
        )
        page = page.where(AppealMessage.seq > named.scalar_subquery())
    return await message_views(session, (await session.scalars(page)).all())


async def message_views(session: AsyncSession, messages: Sequence[AppealMessage]) -> Sequence[MessageView]:
    """The messages with their files and when they were read."""
    ids = [message.id for message in messages]
    files = await attachments_of(session, MESSAGE, ids)
    read = await session.execute(
        select(AppealMessageRead.message_id, func.min(AppealMessageRead.at).label("first"))
        .where(AppealMessageRead.message_id.in_(ids))
        .group_by(AppealMessageRead.message_id)
    )
    first = {row.message_id: row.first for row in read}
    return [MessageView(message, files[message.id], first.get(message.id)) for message in messages]
