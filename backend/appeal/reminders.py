"""The term to decide an appeal: computed once the calendar allows, reminded of, and shown when it has passed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.notifications import tell_due, tell_overdue
from backend.appeal.policy import AppealPolicy
from backend.appeal.queries import OPEN, AppealView, appeals, computed_due
from backend.appeal.rules import reminder_due
from backend.appeal.tables import AppealDue, AppealReminder
from backend.core.clock import legal_day
from backend.org.calendars import working_calendar
from backend.org.tables import OrgUnit
from backend.standing.store.tables import AppealFiled


async def open_appeals(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[UUID]:
    """The ids of open appeals within the scope, oldest first, behind the id `after`."""
    page = appeals().where(OPEN).order_by(AppealFiled.id).limit(limit).with_only_columns(AppealFiled.id)
    if after is not None:
        page = page.where(AppealFiled.id > after)
    return list(await session.scalars(page))


async def watch(session: AsyncSession, appeal_id: UUID, at: datetime) -> None:
    """Compute the term if it could not be before, and remind once for each mark. Safe to run any number of times."""
    found = (await session.execute(appeals().where(AppealFiled.id == appeal_id, OPEN))).one_or_none()
    if found is None:
        return
    appeal = AppealView(*found)
    school = await session.get_one(OrgUnit, appeal.filed.school_id)
    if appeal.due_at is None:
        await _set_due(session, appeal, school.path, at)
    await _remind(session, appeal, school.path, at)


async def _set_due(session: AsyncSession, appeal: AppealView, school_path: str, at: datetime) -> None:
    filed = appeal.filed
    due = await computed_due(session, filed.filed_at, school_path)
    if due.at is None:
        return
    row = {
        "appeal_id": filed.id,
        "school_id": filed.school_id,
        "student_id": filed.student_id,
        "due_at": due.at,
        "computed_at": at,
    }
    await session.execute(insert(AppealDue).values(row).on_conflict_do_nothing())


async def _remind(session: AsyncSession, appeal: AppealView, school_path: str, at: datetime) -> None:
    filed = appeal.filed
    law = AppealPolicy.on(legal_day(filed.filed_at), school_path)
    given = await session.scalars(
        select(AppealReminder.working_day).where(AppealReminder.appeal_id == filed.id)
    )
    marks = (*law.reminders, law.overdue_mark)
    mark = reminder_due(
        legal_day(filed.filed_at), legal_day(at), marks, list(given), await working_calendar(session)
    )
    if mark is None:
        return
    row = {"appeal_id": filed.id, "working_day": mark, "school_id": filed.school_id, "at": at}
    put = insert(AppealReminder).values(row).on_conflict_do_nothing()
    if await session.scalar(put.returning(AppealReminder.working_day)) is None:
        return
    await (tell_overdue if mark == law.overdue_mark else tell_due)(session, filed.id, at)
