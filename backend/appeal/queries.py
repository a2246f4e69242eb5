"""Queries on appeals and their messages.

Superiors read the appeals of the schools below them, a school and a student their own; counselors only get notices. An
appeal that does not exist and one that is not visible give the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Select, and_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.policy import AppealPolicy
from backend.appeal.rules import AppealDeadline, AppealState, appeal_deadline
from backend.appeal.tables import AppealCase, AppealDue, AppealMessage, AppealMessageRead
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.org.calendar_years import get_working_calendar
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachmentView, load_attachments
from backend.people.tables import GuardianLink, Student
from backend.standing.appeal_effects import Target
from backend.standing.engine.ledger import Cause
from backend.standing.store.load import policy_history
from backend.standing.store.tables import AppealDecided, AppealFiled, AppealWithdrawn, StandingEntry

MESSAGE = "appeal_message"
"""The subject noun of attachments of a message."""


@dataclass(frozen=True, slots=True)
class AppealView:
    """An appeal with its deciding unit, deadline and result."""

    filed: AppealFiled
    case: AppealCase
    due_at: datetime | None
    decided: AppealDecided | None
    withdrawn: AppealWithdrawn | None
    unit_name: str
    guardian: GuardianLink | None
    """The link of the guardian who filed it for the student."""

    @property
    def state(self) -> AppealState:
        if self.withdrawn is not None:
            return AppealState.WITHDRAWN if self.withdrawn.withdrawn_by else AppealState.ENDED
        if self.decided is None:
            return AppealState.OPEN
        return AppealState.UPHELD if self.decided.upheld else AppealState.REJECTED

    def overdue(self, at: datetime) -> bool:
        """Whether the appeal is open after its deadline. Without a computed deadline it is never overdue."""
        return self.state is AppealState.OPEN and self.due_at is not None and self.due_at <= at


@dataclass(frozen=True, slots=True)
class AppealDates:
    """Until when an appeal has to be decided, and until when a rejected one can go to the next level."""

    deadline: AppealDeadline
    next_level_until: date | None


def last_day_for_next_level(appeal: AppealView, school_path: str) -> date | None:
    """The last day to take a rejected appeal to the next level; None if it is not rejected or no level is left."""
    if appeal.decided is None or appeal.state is not AppealState.REJECTED:
        return None
    decided_on = legal_day(appeal.decided.at)
    law = policy_history(school_path).on(decided_on)
    if appeal.case.level >= law.appeal_levels:
        return None
    return decided_on + timedelta(days=law.policy.integer("appeal.filing.days"))


async def has_restored_standing(session: AsyncSession, appeal: AppealView) -> bool:
    """Whether the decision reversed a change of standing."""
    restored = select(StandingEntry.id).where(
        StandingEntry.student_id == appeal.filed.student_id,
        StandingEntry.cause == Cause.APPEAL,
        StandingEntry.caused_by == str(appeal.filed.id),
    )
    return await session.scalar(restored.limit(1)) is not None


def select_appeals() -> Select[*tuple[Any, ...]]:
    """Select the columns of `AppealView`."""
    return (
        select(
            AppealFiled,
            AppealCase,
            AppealDue.due_at,
            AppealDecided,
            AppealWithdrawn,
            OrgUnit.name,
            GuardianLink,
        )
        .join(AppealCase, AppealCase.appeal_id == AppealFiled.id)
        .join(OrgUnit, OrgUnit.id == AppealCase.unit_id)
        .outerjoin(AppealDue, AppealDue.appeal_id == AppealFiled.id)
        .outerjoin(AppealDecided, AppealDecided.appeal_id == AppealFiled.id)
        .outerjoin(AppealWithdrawn, AppealWithdrawn.appeal_id == AppealFiled.id)
        .outerjoin(GuardianLink, GuardianLink.id == AppealFiled.guardian_link_id)
    )


IS_OPEN = and_(AppealDecided.appeal_id.is_(None), AppealWithdrawn.appeal_id.is_(None))
_STATES: dict[AppealState, ColumnElement[bool]] = {
    AppealState.OPEN: IS_OPEN,
    AppealState.UPHELD: AppealDecided.upheld.is_(True),
    AppealState.REJECTED: AppealDecided.upheld.is_(False),
    AppealState.WITHDRAWN: AppealWithdrawn.withdrawn_by.is_not(None),
    AppealState.ENDED: and_(AppealWithdrawn.appeal_id.is_not(None), AppealWithdrawn.withdrawn_by.is_(None)),
}


@dataclass(frozen=True, slots=True)
class AppealSearch:
    """Filters of the list; None or False means no filter."""

    to_decide: bool = False
    filed_by_school: bool = False
    state: AppealState | None = None
    overdue: bool = False
    student_id: UUID | None = None
    unit_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""
    target: Target | None = None
    target_id: str | None = None


_NOT_DUE = literal(datetime(9000, 1, 1, tzinfo=UTC), DateTime(timezone=True))
AppealSort = Literal["filed_at", "-filed_at", "due_at", "-due_at"]
APPEAL_SORTS = ListSorts(
    AppealFiled.id,
    {"filed_at": AppealFiled.id, "due_at": func.coalesce(AppealDue.due_at, _NOT_DUE)},
    default="-filed_at",
)
"""An id begins with the time. Appeals without a computed deadline count as due last."""


async def load_appeals_page(
    session: AsyncSession, actor: Actor, search: AppealSearch, at: datetime, request: PageRequest
) -> ListPage[AppealView]:
    """A page of the readable appeals. Raises `NotFound` for a unit of others."""
    schools = await load_school_scope(session, actor, search.unit_id)
    page = _select_readable_appeals(actor).where(is_of_schools(AppealFiled.school_id, schools))
    if search.to_decide:
        page = page.where(AppealCase.unit_id == actor.org_id, IS_OPEN)
    if search.filed_by_school:
        page = page.where(AppealFiled.appellant == "school")
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.overdue:
        page = page.where(IS_OPEN, AppealDue.due_at <= at)
    if search.student_id is not None:
        page = page.where(AppealFiled.student_id == search.student_id)
    if search.matching is not None:
        page = page.where(AppealFiled.student_id.in_(select(Student.id).where(search.matching)))
    if search.target is not None:
        page = page.where(AppealFiled.target == search.target)
    if search.target_id is not None:
        page = page.where(AppealFiled.target_id == search.target_id)
    found = await load_page(session, page, APPEAL_SORTS, request)
    return found.with_rows([AppealView(*row) for row in found.rows])


def _select_readable_appeals(actor: Actor) -> Select[*tuple[Any, ...]]:
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="申诉由学校管理员和上级主管部门办理",
            reason_en="only registrars and superior authorities handle appeals",
        )
    if actor.role == "student":
        return select_appeals().where(AppealFiled.student_id == actor.student_id)
    return select_appeals()


async def load_appeal(session: AsyncSession, actor: Actor, appeal_id: UUID) -> AppealView:
    """One readable appeal; raises `NotFound`."""
    row = (
        await session.execute(_select_readable_appeals(actor).where(AppealFiled.id == appeal_id))
    ).one_or_none()
    if row is None:
        raise NotFound
    return AppealView(*row)


async def load_deadline(session: AsyncSession, appeal: AppealView, school_path: str) -> AppealDeadline:
    """The stored deadline, or one computed now, which may name a missing calendar year."""
    if appeal.due_at is not None:
        return AppealDeadline(appeal.due_at, None)
    return await compute_deadline(session, appeal.filed.filed_at, school_path)


async def load_dates(session: AsyncSession, appeal: AppealView, school_path: str) -> AppealDates:
    """The dates that the readers of an appeal need."""
    deadline = await load_deadline(session, appeal, school_path)
    return AppealDates(deadline, last_day_for_next_level(appeal, school_path))


async def compute_deadline(session: AsyncSession, filed_at: datetime, school_path: str) -> AppealDeadline:
    """Compute the deadline by the policy of the day of filing and the calendar as loaded now."""
    law = AppealPolicy.on(legal_day(filed_at), school_path)
    return appeal_deadline(filed_at, law.working_days, await get_working_calendar(session))


# --- messages ---


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message with its files. `read_at`: when an account of the other side first read it."""

    message: AppealMessage
    attachments: Sequence[AttachmentView]
    read_at: datetime | None


async def load_messages_page(
    session: AsyncSession, appeal_id: UUID, after: UUID | None, limit: int
) -> Sequence[MessageView]:
    """At most `limit` messages after the given one, oldest first. The caller must have checked access to the appeal."""
    page = (
        select(AppealMessage)
        .where(AppealMessage.appeal_id == appeal_id)
        .order_by(AppealMessage.seq)
        .limit(limit)
    )
    if after is not None:
        seq_of_last = select(AppealMessage.seq).where(
            AppealMessage.appeal_id == appeal_id, AppealMessage.id == after
        )
        page = page.where(AppealMessage.seq > seq_of_last.scalar_subquery())
    return await load_message_views(session, (await session.scalars(page)).all())


async def load_message_views(
    session: AsyncSession, messages: Sequence[AppealMessage]
) -> Sequence[MessageView]:
    """The messages with their files and read times."""
    ids = [message.id for message in messages]
    files = await load_attachments(session, MESSAGE, ids)
    read = await session.execute(
        select(AppealMessageRead.message_id, func.min(AppealMessageRead.at).label("first"))
        .where(AppealMessageRead.message_id.in_(ids))
        .group_by(AppealMessageRead.message_id)
    )
    read_times = {row.message_id: row.first for row in read}
    return [MessageView(message, files[message.id], read_times.get(message.id)) for message in messages]
