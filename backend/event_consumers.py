"""Consumers of events: the scope that each event gives its consumer, and adapters between packages.

`backend/events.py` subscribes them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.ledger_service import post_student_aid
from backend.appeal import events as appeal
from backend.appeal.ending import end_appeals_without_object
from backend.core.event import StudentEvent
from backend.core.tenancy import Scope
from backend.guardian import tasks as guardian_tasks
from backend.leave import events as leave
from backend.leave import guardians
from backend.org.paths import common_superior_path
from backend.people import events as people
from backend.roll_call import events as roll_call
from backend.roll_call.rules import Outcome
from backend.standing import events as standing
from backend.standing import tasks as standing_tasks
from backend.standing.engine.prompts import PromptKind
from backend.standing.notifications.prompts import superior_path
from backend.standing.store.save import recompute

E_contra = TypeVar("E_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Consumer(Generic[E_contra]):
    """A service that an event calls, in its own transaction, under the scope that the event gives."""

    name: str
    scope: Callable[[E_contra], Scope]
    handle: Callable[[AsyncSession, E_contra, datetime], Awaitable[object]]


# --- scopes ---


class HasPath(Protocol):
    """An event with the ltree path of a unit."""

    @property
    def path(self) -> str: ...


class HasSchool(Protocol):
    """An event of one school."""

    @property
    def school_id(self) -> UUID: ...


class HasSchoolAndPath(HasSchool, HasPath, Protocol):
    """An event of one school, with the school's path."""


def org_path_scope(event: HasPath) -> Scope:
    return Scope.wide(event.path)


def school_scope(event: HasSchool) -> Scope:
    return Scope.school(event.school_id)


def school_and_accounts_scope(event: HasSchoolAndPath) -> Scope:
    """The school and its accounts, which row-level security finds by path."""
    return Scope.school(event.school_id, event.path)


def superior_scope(event: HasPath) -> Scope:
    """The authority directly above the school. A school's scope does not include its accounts."""
    return Scope.wide(superior_path(event.path))


def holder_scope(event: people.EnrolmentsQuarantined | people.QuarantineDecided) -> Scope:
    """The school that has the student, and its accounts."""
    return Scope.school(event.holder_school_id, event.holder_path)


def common_superior_scope(event: people.EnrolmentsQuarantined) -> Scope:
    """The lowest unit above both schools."""
    return Scope.wide(common_superior_path(event.path, event.holder_path))


def approver_scope(event: standing.ChangeRequested) -> Scope:
    """The unit that must answer next in a chain of approval, and the school below it."""
    return Scope.wide(event.turn_path)


def appeal_authority_scope(event: appeal.AppealEvent) -> Scope:
    """The authority that decides an appeal, and the school below it."""
    return Scope.wide(event.unit_path)


# --- consumers that serve several events, or connect packages that do not import each other ---


async def assess_student(session: AsyncSession, event: StudentEvent, at: datetime) -> None:
    await recompute(session, event.student_id, at)


async def assess_changed_outcome(
    session: AsyncSession, event: roll_call.OutcomeChanged, at: datetime
) -> None:
    await recompute(session, event.student_id, at)


async def assess_roll_call_students(
    session: AsyncSession, event: roll_call.RollCallEvent, _at: datetime
) -> None:
    await standing_tasks.enqueue_audience(session, event)


async def post_aid_entries(session: AsyncSession, event: StudentEvent, at: datetime) -> None:
    """A release withdraws unpaid aid; an entry that reverses the change reinstates it (HN334-4.1d, 4.2)."""
    await post_student_aid(session, event.student_id, at)


async def notify_guardians_of_limit(
    session: AsyncSession, event: standing.PromptRaised, at: datetime
) -> None:
    if event.kind is PromptKind.LEAVE_OVER_CAP:
        await guardians.notify_over_limit(session, event.student_id, event.prompt_id, at)


async def notify_guardians_of_misses(
    session: AsyncSession, event: roll_call.RollCallSettled, _at: datetime
) -> None:
    await guardian_tasks.enqueue_miss_notices(session, event.roll_call_id)


async def notify_guardians_of_outcome(
    session: AsyncSession, event: roll_call.OutcomeChanged, _at: datetime
) -> None:
    """A later entry can turn an undetermined result into a miss."""
    if event.outcome == Outcome.MISSED:
        await guardian_tasks.enqueue_notice(session, event.school_id, event.student_id, "miss")


async def notify_guardians_of_warning(
    session: AsyncSession, event: standing.StudentWarned, _at: datetime
) -> None:
    await guardian_tasks.enqueue_notice(session, event.school_id, event.student_id, "warning")


async def notify_guardians_of_prompt(
    session: AsyncSession, event: standing.PromptRaised, _at: datetime
) -> None:
    await guardian_tasks.enqueue_notice(session, event.school_id, event.student_id, "prompt")


async def end_appeals(session: AsyncSession, event: standing.StandingChanged, at: datetime) -> None:
    await end_appeals_without_object(session, event, at)


ASSESS_LEAVE: Consumer[leave.LeaveEvent] = Consumer(
    "assess_leave", school_and_accounts_scope, standing_tasks.reassess_after_leave
)
