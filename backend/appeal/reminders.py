"""Monitor the deadlines of open appeals: compute missing ones and send due reminders."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.notifications import notify_appeal_due, notify_appeal_overdue
from backend.appeal.policy import AppealPolicy
from backend.appeal.queries import IS_OPEN, AppealView, compute_deadline, select_appeals
from backend.appeal.rules import due_reminder
from backend.appeal.tables import AppealDue, AppealReminder
from backend.core.clock import legal_day
from backend.org.calendar_years import get_working_calendar
from backend.org.tables import OrgUnit
from backend.standing.store.tables import AppealFiled


async def load_open_appeal_ids(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[UUID]:
    """The ids of open appeals in the tenant scope, oldest first, after the id `after`."""
    page = (
        select_appeals()
        .where(IS_OPEN)
        .order_by(AppealFiled.id)
        .limit(limit)
        .with_only_columns(AppealFiled.id)
    )
    if after is not None:
        page = page.where(AppealFiled.id > after)
    return list(await session.scalars(page))


async def check_deadline(session: AsyncSession, appeal_id: UUID, at: datetime) -> None:
    """Compute the deadline if it is missing, and send the due reminder. Idempotent."""
    row = (await session.execute(select_appeals().where(AppealFiled.id == appeal_id, IS_OPEN))).one_or_none()
    if row is None:
        return
    appeal = AppealView(*row)
    school = await session.get_one(OrgUnit, appeal.filed.school_id)
    if appeal.due_at is None:
        await _insert_deadline(session, appeal, school.path, at)
    await _send_due_reminder(session, appeal, school.path, at)


async def _insert_deadline(session: AsyncSession, appeal: AppealView, school_path: str, at: datetime) -> None:
    filed = appeal.filed
    due = await compute_deadline(session, filed.filed_at, school_path)
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


async def _send_due_reminder(
    session: AsyncSession, appeal: AppealView, school_path: str, at: datetime
) -> None:
    filed = appeal.filed
    law = AppealPolicy.on(legal_day(filed.filed_at), school_path)
    sent = await session.scalars(
        select(AppealReminder.working_day).where(AppealReminder.appeal_id == filed.id)
    )
    reminders = (*law.reminders, law.overdue_mark)
    reminder = due_reminder(
        legal_day(filed.filed_at), legal_day(at), reminders, list(sent), await get_working_calendar(session)
    )
    if reminder is None:
        return
    row = {"appeal_id": filed.id, "working_day": reminder, "school_id": filed.school_id, "at": at}
    statement = insert(AppealReminder).values(row).on_conflict_do_nothing()
    if await session.scalar(statement.returning(AppealReminder.working_day)) is None:
        return
    await (notify_appeal_overdue if reminder == law.overdue_mark else notify_appeal_due)(
        session, filed.id, at
    )
