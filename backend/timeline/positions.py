"""The positions of a student's records in time, merged over all kinds and read page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.tables import AidApplication, AidFiling, AidPayment
from backend.identity.pictures.tables import PictureView
from backend.leave.tables import LeaveRequest
from backend.roll_call.tables import Obligation, RollCall, RollCallSchool
from backend.standing.store.tables import (
    AppealFiled,
    AttendanceEntry,
    ChangeRequest,
    PromptRecord,
    PromptStatement,
    ReasonClaimRecord,
    StandingEntry,
)
from backend.timeline.kinds import TimelineKind


@dataclass(frozen=True, slots=True)
class TimelineStudent:
    """The student whose file is read, and the school."""

    id: UUID
    school_id: UUID


@dataclass(frozen=True, slots=True)
class Position:
    """A record by its kind, time and id."""

    kind: TimelineKind
    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class _Source:
    """The records of one kind: their time, their id, and the statement that finds them."""

    at: ColumnElement[datetime]
    id: ColumnElement[UUID]
    rows: Select[*tuple[Any, ...]]


async def load_positions(
    session: AsyncSession,
    student: TimelineStudent,
    kinds: Sequence[TimelineKind],
    at: datetime,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Position]:
    """At most `limit` positions of the kinds, newest first, older than `before` (time, id)."""
    sources = _sources(student, at)
    pages = [_page(kind, sources[kind], before, limit).subquery() for kind in kinds]
    merged = union_all(*(select(page.c.kind, page.c.at, page.c.id) for page in pages)).subquery()
    rows = await session.execute(
        select(merged.c.kind, merged.c.at, merged.c.id)
        .order_by(merged.c.at.desc(), merged.c.id.desc())
        .limit(limit)
    )
    return [Position(TimelineKind(kind), instant, key) for kind, instant, key in rows]


def _page(
    kind: TimelineKind, source: _Source, before: tuple[datetime, UUID] | None, limit: int
) -> Select[*tuple[Any, ...]]:
    page = source.rows.with_only_columns(
        literal(kind.value).label("kind"), source.at.label("at"), source.id.label("id")
    )
    if before is not None:
        page = page.where(tuple_(source.at, source.id) < tuple_(*before))
    return page.order_by(source.at.desc(), source.id.desc()).limit(limit)


def _sources(student: TimelineStudent, at: datetime) -> Mapping[TimelineKind, _Source]:
    """Every kind by the column of the time that it is filed under. A roll call is secret until its notice."""

    def of(table: Any, instant: Any) -> _Source:
        return _Source(
            instant.expression, table.id.expression, select(table).where(table.student_id == student.id)
        )

    return {
        TimelineKind.ROLL_CALL: _Source(
            RollCall.opens_at.expression, RollCall.id.expression, _announced_roll_calls(student, at)
        ),
        TimelineKind.PROMPT: of(PromptRecord, PromptRecord.raised_at),
        TimelineKind.STATEMENT: _Source(
            PromptStatement.at.expression,
            PromptStatement.id.expression,
            select(PromptStatement)
            .join(PromptRecord, PromptRecord.id == PromptStatement.prompt_id)
            .where(PromptRecord.student_id == student.id),
        ),
        TimelineKind.STANDING: of(StandingEntry, StandingEntry.at),
        TimelineKind.CHANGE_REQUEST: of(ChangeRequest, ChangeRequest.filed_at),
        TimelineKind.AID_APPLICATION: of(AidApplication, AidApplication.filed_at),
        TimelineKind.AID_PAYMENT: of(AidPayment, AidPayment.at),
        TimelineKind.AID_FILING: of(AidFiling, AidFiling.filed_at),
        TimelineKind.APPEAL: of(AppealFiled, AppealFiled.filed_at),
        TimelineKind.LEAVE: of(LeaveRequest, LeaveRequest.filed_at),
        TimelineKind.ATTENDANCE: of(AttendanceEntry, AttendanceEntry.at),
        TimelineKind.CLAIM: of(ReasonClaimRecord, ReasonClaimRecord.filed_at),
        TimelineKind.PICTURE_VIEW: of(PictureView, PictureView.at),
    }


def _announced_roll_calls(student: TimelineStudent, at: datetime) -> Select[*tuple[Any, ...]]:
    obligation = and_(
        Obligation.term_code == RollCall.term_code,
        Obligation.roll_call_id == RollCall.id,
        Obligation.school_id == RollCallSchool.school_id,
        Obligation.student_id == student.id,
    )
    return (
        select(RollCall)
        .join(RollCallSchool, RollCallSchool.roll_call_id == RollCall.id)
        .join(Obligation, obligation)
        .where(RollCallSchool.school_id == student.school_id, RollCall.notify_at <= at)
    )
