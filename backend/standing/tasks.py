"""Background tasks: assess a school, the audience of a roll call, or one student."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from procrastinate import JobContext, RetryStrategy
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.jobs import (
    DEFAULT,
    JobRequest,
    Priority,
    enqueue_all_unless_waiting,
    enqueue_unless_waiting,
    job_app,
)
from backend.core.tenancy import Scope
from backend.leave.events import LeaveEvent
from backend.org.tables import OrgUnit
from backend.roll_call.events import RollCallEvent
from backend.roll_call.tables import RollCall, RollCallSchool
from backend.standing.batch_assessment import (
    SchoolGroup,
    SingleSchool,
    assess_school,
    assess_students,
    batches,
    recompute_each,
    select_absentees,
    select_absentees_with_leave,
    select_assessed_participants,
    select_due,
)
from backend.standing.claims.service import file_late_leave_claims
from backend.standing.notifications.reminders import remind_registrars
from backend.standing.store.save import recompute

_UNASSESSED = text("SELECT school_id, path FROM definer.unassessed_schools(:day)")
_DUE = text("SELECT school_id, path FROM definer.due_standings(:instant)")
_RETRY = RetryStrategy(max_attempts=6, exponential_wait=3)


# --- enqueued in the transaction of the cause ---


async def enqueue_assessment(session: AsyncSession, school_ids: Collection[UUID]) -> None:
    """Assess all students of the schools soon, after something was recorded that can affect any of them."""
    units = select(OrgUnit.id, OrgUnit.path).where(OrgUnit.id.in_(school_ids), OrgUnit.kind == "school")
    jobs = [_school_job(school_id, path) for school_id, path in await session.execute(units)]
    await enqueue_all_unless_waiting(session, jobs)


async def enqueue_student(session: AsyncSession, school_id: UUID, path: str, student_id: UUID) -> None:
    """Assess one student soon, unless a job for the student is already waiting."""
    arguments = {"school_id": str(school_id), "path": path, "student_id": str(student_id)}
    await enqueue_unless_waiting(session, assess_student, f"assess/{student_id}", **arguments)


SCHOOLS_PER_JOB = 20
"""Few enough to finish in seconds and to share the schools of a province among several workers."""


async def enqueue_audience(session: AsyncSession, event: RollCallEvent) -> None:
    """Assess the students affected by a settled or voided roll call.

    For every few schools there are two jobs: one for the students who missed the roll call, and one with low priority
    for the others.
    """
    launcher = await session.scalar(select(RollCall.launcher_path).where(RollCall.id == event.roll_call_id))
    schools = (
        select(OrgUnit.id)
        .join(RollCallSchool, RollCallSchool.school_id == OrgUnit.id)
        .where(RollCallSchool.roll_call_id == event.roll_call_id)
        .order_by(OrgUnit.path)  # schools of one bureau mostly share the law and the terms
    )
    school_ids = [str(school_id) for school_id in await session.scalars(schools)]
    jobs: list[JobRequest] = []
    for batch in batches(school_ids, SCHOOLS_PER_JOB):
        arguments = {"roll_call_id": str(event.roll_call_id), "path": launcher, "school_ids": batch}
        key = f"{event.roll_call_id}/{batch[0]}"
        jobs += [
            (assess_audience, f"assess/{key}", arguments),
            (assess_known, f"assess_known/{key}", arguments),
        ]
    await enqueue_all_unless_waiting(session, jobs)


def _school_job(school_id: UUID, path: str) -> JobRequest:
    return assess_one_school, f"assess/{school_id}", {"school_id": str(school_id), "path": path}


# --- periodic ---


async def enqueue_unassessed(app_context: AppContext) -> int:
    """Enqueue a job for every school not yet assessed on the current legal day. Returns the number of schools."""
    async with app_context.database.transaction(Scope.none()) as session:
        rows = (await session.execute(_UNASSESSED, {"day": legal_day(app_context.clock())})).all()
        await enqueue_all_unless_waiting(session, [_school_job(school_id, path) for school_id, path in rows])
    return len(rows)


async def enqueue_due(app_context: AppContext) -> int:
    """Enqueue a job for every school with a student whose assessment is due. Returns the number of schools."""
    async with app_context.database.transaction(Scope.none()) as session:
        rows = (await session.execute(_DUE, {"instant": app_context.clock()})).all()
        jobs: list[JobRequest] = [
            (assess_due, f"assess_due/{school_id}", {"school_id": str(school_id), "path": path})
            for school_id, path in rows
        ]
        await enqueue_all_unless_waiting(session, jobs)
    return len(rows)


@job_app.periodic(cron="* * * * *", periodic_id="assess_daily")
@job_app.task(
    queue=DEFAULT,
    name="assess_daily",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="assess_daily",
)
async def assess_daily(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Runs every minute, and so catches up after a downtime or when a demonstration moves its clock."""
    await enqueue_unassessed(context.additional_context["app_context"])


@job_app.periodic(cron="* * * * * */5", periodic_id="standings_due")
@job_app.task(
    queue=DEFAULT,
    name="standings_due",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="standings_due",
)
async def standings_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Runs every five seconds, so that a deadline at 24:00 is applied soon after."""
    await enqueue_due(context.additional_context["app_context"])


# --- the jobs ---


@job_app.task(queue=DEFAULT, name="assess_school", pass_context=True, retry=_RETRY)
async def assess_one_school(context: JobContext, school_id: str, path: str) -> None:
    """Assess all students, then remind the registrars of open prompts."""
    app_context: AppContext = context.additional_context["app_context"]
    school, at = SingleSchool(UUID(school_id), path), app_context.clock()
    await assess_school(app_context, school.school_id, path, at)
    async with app_context.database.transaction(school.scope) as session:
        await remind_registrars(session, school.school_id, at)


@job_app.task(queue=DEFAULT, name="assess_due", pass_context=True, priority=Priority.HIGH, retry=_RETRY)
async def assess_due(context: JobContext, school_id: str, path: str) -> None:
    """Recompute the students of a school whose deadline or absence limit has passed."""
    app_context: AppContext = context.additional_context["app_context"]
    school, at = SingleSchool(UUID(school_id), path), app_context.clock()
    async with app_context.database.transaction(school.scope) as session:
        student_ids = (await session.scalars(select_due(at))).all()
    await recompute_each(app_context, school, student_ids, at)


@job_app.task(queue=DEFAULT, name="assess_audience", pass_context=True, retry=_RETRY)
async def assess_audience(context: JobContext, roll_call_id: str, path: str, school_ids: list[str]) -> None:
    """Turn leave filed too late for a miss into a claim, then recompute the students who missed the roll call."""
    app_context: AppContext = context.additional_context["app_context"]
    schools, at = SchoolGroup(path, tuple(map(UUID, school_ids))), app_context.clock()
    async with app_context.database.transaction(schools.scope) as session:
        on_leave = (await session.scalars(select_absentees_with_leave(schools, UUID(roll_call_id)))).all()
        missed = (await session.scalars(select_absentees(schools, UUID(roll_call_id)))).all()
    failures: dict[UUID, Exception] = {}
    for student_id in on_leave:
        try:
            async with app_context.database.transaction(schools.scope) as session:
                await file_late_leave_claims(session, student_id, at)
        except Exception as error:  # noqa: BLE001 - raised below, after all other students
            failures[student_id] = error
    # A student whose claim could not be recorded must not be assessed without it.
    await recompute_each(
        app_context, schools, [student_id for student_id in missed if student_id not in failures], at
    )
    if failures:
        msg = f"leave of {len(failures)} students of {path} could not be claimed"
        raise ExceptionGroup(msg, list(failures.values()))


@job_app.task(queue=DEFAULT, name="assess_known", pass_context=True, priority=Priority.LOW, retry=_RETRY)
async def assess_known(context: JobContext, roll_call_id: str, path: str, school_ids: list[str]) -> None:
    """Re-assess students in these schools who were part of the roll call and already have a stored assessment."""
    app_context: AppContext = context.additional_context["app_context"]
    schools, at = SchoolGroup(path, tuple(map(UUID, school_ids))), app_context.clock()
    async with app_context.database.transaction(schools.scope) as session:
        student_ids = (await session.scalars(select_assessed_participants(schools, UUID(roll_call_id)))).all()
    await assess_students(app_context, schools, student_ids, at)


@job_app.task(queue=DEFAULT, name="assess_student", pass_context=True, priority=Priority.HIGH, retry=_RETRY)
async def assess_student(context: JobContext, school_id: str, path: str, student_id: str) -> None:
    """Run `recompute` under the school's scope."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.school(UUID(school_id), path)) as session:
        await recompute(session, UUID(student_id), app_context.clock())


async def reassess_after_leave(session: AsyncSession, event: LeaveEvent, at: datetime) -> None:
    """After a change of leave: turn leave filed too late for a miss into a claim, then recompute the student."""
    await file_late_leave_claims(session, event.student_id, at)
    await recompute(session, event.student_id, at)
