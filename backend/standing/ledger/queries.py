"""Queries on the ledger: a student's entries and lock, the status on a day, recent changes, and the feed.

HN334-2.4: other platforms follow the numbered feed, and the status on a past day is reproduced from the entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, and_, cast, exists, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import BadInput, NotFound, NotPermitted
from backend.org.errors import TermUnknown
from backend.org.terms import TermView, get_all_terms
from backend.people.tables import Student
from backend.standing.access import visible_students
from backend.standing.change_requests.errors import StandingBeforeRecord
from backend.standing.engine.facts import Status
from backend.standing.engine.ledger import SANCTIONS
from backend.standing.events import StandingChanged
from backend.standing.store.tables import ChangeRequest, StandingEdit, StandingEntry, StandingFeed


@dataclass(frozen=True, slots=True)
class EntryView:
    """A ledger entry, the change request that caused it, and whether a later entry reversed it."""

    entry: StandingEntry
    request_id: UUID | None
    requested_kind: str | None
    reversed: bool

    @property
    def change_kind(self) -> str | None:
        """The code of the change kind; None for a restoration."""
        return self.entry.change_kind or self.requested_kind


@dataclass(frozen=True, slots=True)
class Ledger:
    """A student's current status, the entry that locks the record (None: unlocked), and all entries in order."""

    student_id: UUID
    status: Status
    locked_by: UUID | None
    entries: tuple[EntryView, ...]


def select_entries() -> Select[*tuple[Any, ...]]:
    """The columns of `EntryView` for every entry in scope."""
    later = aliased(StandingEntry)
    is_reversed = exists().where(later.reverses == StandingEntry.id)
    return (
        select(StandingEntry, ChangeRequest.id, ChangeRequest.change_kind, is_reversed)
        .outerjoin(
            StandingEdit,
            and_(
                StandingEdit.student_id == StandingEntry.student_id,
                cast(StandingEdit.id, String) == StandingEntry.caused_by,
            ),
        )
        .outerjoin(ChangeRequest, ChangeRequest.id == StandingEdit.request_id)
    )


async def load_ledger(session: AsyncSession, actor: Actor, student_id: UUID) -> Ledger:
    """The ledger of a student. Raises `NotFound` if the caller may not see the student."""
    student = await _load_student(session, actor, student_id)
    rows = await session.execute(
        select_entries().where(StandingEntry.student_id == student_id).order_by(StandingEntry.seq)
    )
    entries = tuple(EntryView(*row) for row in rows)
    locking = [each.entry.id for each in entries if each.entry.cause in SANCTIONS and not each.reversed]
    status = Status(student.standing, student.study_form)
    return Ledger(student_id, status, locking[-1] if locking else None, entries)


async def _load_student(session: AsyncSession, actor: Actor, student_id: UUID) -> Student:
    student = await session.scalar(
        select(Student).where(Student.id == student_id, visible_students(actor, Student.id.expression))
    )
    if student is None:
        raise NotFound
    return student


# --- the status on a day ---


@dataclass(frozen=True, slots=True)
class StatusOn:
    """The status at the end of a legal day (today: now), and the entry that set it (None: unchanged since entry)."""

    student_id: UUID
    on: date
    status: Status
    since_entry: UUID | None


async def load_status_on(
    session: AsyncSession, actor: Actor, student_id: UUID, day: date | None, at: datetime
) -> StatusOn:
    """Reproduce the status on a day (default: today) from the ledger (HN334-2.4).

    Raises `NotFound`, `BadInput`, `StandingBeforeRecord`.
    """
    on = day or legal_day(at)
    if on > legal_day(at):
        raise BadInput(
            field="on", reason_zh="日期不能晚于今天", reason_en="the day must not be in the future"
        )
    ledger = await load_ledger(session, actor, student_id)
    entries = [view.entry for view in ledger.entries]
    student = await session.get_one(Student, student_id)
    since = min([student.created_at, *(entry.at for entry in entries[:1])])
    if on < legal_day(since):
        raise StandingBeforeRecord(since=legal_day(since).isoformat())
    past = [entry for entry in entries if legal_day(entry.at) <= on]
    if past:
        last = past[-1]
        return StatusOn(student_id, on, Status(last.standing_after, last.study_form_after), last.id)
    if entries:
        first = entries[0]
        return StatusOn(student_id, on, Status(first.standing_before, first.study_form_before), None)
    return StatusOn(student_id, on, ledger.status, None)


# --- changes of many students ---


@dataclass(frozen=True, slots=True)
class ChangesSearch:
    """Optional filters. `term` is the code of a term of the caller's unit."""

    school_id: UUID | None = None
    term: str | None = None
    cause: str | None = None


async def load_changes_page(
    session: AsyncSession,
    actor: Actor,
    search: ChangesSearch,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[EntryView]:
    """At most `limit` entries recorded before the position, newest first."""
    require_overview(actor)
    position = tuple_(StandingEntry.recorded_at, StandingEntry.id)
    page = select_entries().order_by(StandingEntry.recorded_at.desc(), StandingEntry.id.desc()).limit(limit)
    if search.school_id is not None:
        page = page.where(StandingEntry.school_id == search.school_id)
    if search.cause is not None:
        page = page.where(StandingEntry.cause == search.cause)
    if search.term is not None:
        page = page.where(
            is_within_term(
                StandingEntry.at.expression, await load_term_with_code(session, actor, search.term)
            )
        )
    if before is not None:
        page = page.where(position < before)
    return [EntryView(*row) for row in await session.execute(page)]


def require_overview(actor: Actor) -> None:
    """Raise `NotPermitted` unless the actor may list changes of whole schools (registrars, authorities)."""
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="异动汇总供学校学籍管理员和上级教育部门查阅",
            reason_en="lists of changes are for registrars and authorities",
        )


async def load_term_with_code(session: AsyncSession, actor: Actor, code: str) -> TermView:
    """The term with the code in the caller's unit; raises `TermUnknown`."""
    for view in (await get_all_terms(session, [actor.org_id]))[actor.org_id]:
        if view.code == code:
            return view
    raise TermUnknown(code=code)


def is_within_term(instant: ColumnElement[datetime], term: TermView) -> ColumnElement[bool]:
    """Whether an instant lies within the legal days of a term."""
    begins = datetime.combine(term.starts_on, time(0), tzinfo=LEGAL_ZONE)
    ends = datetime.combine(term.ends_on + timedelta(days=1), time(0), tzinfo=LEGAL_ZONE)
    return (instant >= begins) & (instant < ends)


# --- the feed ---

_LOCK_FEED = text("SELECT pg_advisory_xact_lock(hashtextextended('standing_feed', 0))")


async def append_to_feed(session: AsyncSession, event: StandingChanged, at: datetime) -> None:
    """Append a committed entry to the feed, once.

    The advisory lock lasts until the commit, so numbers are committed in order and a reader never skips one.
    """
    await session.execute(_LOCK_FEED)
    entry = await session.get_one(StandingEntry, event.entry_id)
    statement = insert(StandingFeed).values(entry_id=entry.id, school_id=entry.school_id, at=at)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["entry_id"]))


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An entry and its number in the feed."""

    seq: int
    view: EntryView


async def load_feed_page(session: AsyncSession, actor: Actor, after: int, limit: int) -> Sequence[FeedItem]:
    """At most `limit` entries after the number `after`, in the order of the feed."""
    require_overview(actor)
    page = (
        select_entries()
        .join(StandingFeed, StandingFeed.entry_id == StandingEntry.id)
        .add_columns(StandingFeed.seq)
        .where(StandingFeed.seq > after)
        .order_by(StandingFeed.seq)
        .limit(limit)
    )
    return [FeedItem(row[-1], EntryView(*row[:-1])) for row in await session.execute(page)]
