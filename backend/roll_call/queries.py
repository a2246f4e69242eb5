"""Read models of roll calls: a student's own, and what staff look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.acting import Acting
from backend.core.errors import NotFound
from backend.org.queries import under
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call import rules
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.outcomes import effective
from backend.roll_call.oversight import overseen_classes, still_waiting
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    Refusal,
    RollCall,
    RollCallClass,
    RollCallStep,
    Submission,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class OwnRollCall:
    """A roll call as its student sees it: the duty, the result so far, and whether a person is next."""

    roll_call: RollCall
    obligation: Obligation
    outcome: OutcomeEntry | None
    voided: bool
    sent_to_a_person: bool


@dataclass(frozen=True, slots=True)
class SubmissionView:
    """One attempt and what became of it."""

    submission: Submission
    verdict: Verdict | None


async def own_roll_calls(
    session: AsyncSession, student_id: UUID, at: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[OwnRollCall]:
    """The student's announced roll calls, newest first."""
    found = (
        select(RollCall, Obligation)
        .join(Obligation, Obligation.roll_call_id == RollCall.id)
        .where(Obligation.student_id == student_id, RollCall.notify_at <= at)
        .order_by(RollCall.opens_at.desc(), RollCall.id.desc())
        .limit(limit)
    )
    if after is not None:
        found = found.where(tuple_(RollCall.opens_at, RollCall.id) < after)
    rows = (await session.execute(found)).all()
    shown = [roll_call.id for roll_call, _ in rows]
    mine = effective().where(OutcomeEntry.student_id == student_id, OutcomeEntry.roll_call_id.in_(shown))
    outcomes = {entry.roll_call_id: entry for entry in await session.scalars(mine)}
    steps = await steps_of(session, shown)
    sent = await _sent_to_a_person(session, student_id, shown)
    return [
        OwnRollCall(
            roll_call,
            obligation,
            outcomes.get(roll_call.id),
            voided="voided" in steps[roll_call.id],
            sent_to_a_person=roll_call.id in sent,
        )
        for roll_call, obligation in rows
    ]


async def own_roll_call(
    session: AsyncSession, acting: Acting, roll_call_id: UUID, at: datetime
) -> OwnRollCall:
    """One announced roll call of the student; any other is not there."""
    found = (
        await session.execute(
            select(RollCall, Obligation)
            .join(Obligation, Obligation.roll_call_id == RollCall.id)
            .where(
                RollCall.id == roll_call_id,
                Obligation.student_id == acting.student_id,
                RollCall.notify_at <= at,
            )
        )
    ).one_or_none()
    if found is None:
        raise NotFound
    roll_call, obligation = found
    sent = await _sent_to_a_person(session, obligation.student_id, [roll_call_id])
    return OwnRollCall(
        roll_call,
        obligation,
        await _outcome(session, obligation),
        voided=await _voided(session, roll_call),
        sent_to_a_person=bool(sent),
    )


async def _sent_to_a_person(
    session: AsyncSession, student_id: UUID, roll_call_ids: Sequence[UUID]
) -> set[UUID]:
    """Those of the roll calls in which the student was sent to the counselor."""
    found = await session.scalars(
        select(Refusal.roll_call_id).where(
            Refusal.student_id == student_id,
            Refusal.roll_call_id.in_(roll_call_ids),
            Refusal.code.in_(SENT_TO_A_PERSON),
        )
    )
    return set(found)


async def own_version(
    session: AsyncSession, student_id: UUID, at: datetime, roll_call_id: UUID | None = None
) -> tuple[object, ...]:
    """Changes whenever the student's view of the roll calls, or of one, does: one statement over their own few rows.

    All that it counts is only ever added to, and what time alone changes is counted as of `at`.
    """

    def added(table: type[OutcomeEntry | Verdict | Submission | Refusal]) -> ColumnElement[int]:
        mine = select(func.count()).select_from(table).where(table.student_id == student_id)
        return (
            mine if roll_call_id is None else mine.where(table.roll_call_id == roll_call_id)
        ).scalar_subquery()

    step = (
        select(func.count(RollCallStep.roll_call_id))
        .where(RollCallStep.roll_call_id == RollCall.id, RollCallStep.step == "voided")
        .correlate(RollCall)
        .scalar_subquery()
    )
    deadline = func.coalesce(RollCall.extended_until, RollCall.closes_at)
    asked = (
        select(
            func.count(),
            func.count().filter(RollCall.opens_at <= at),
            func.count().filter(deadline < at),
            func.max(deadline),
            func.sum(step),
            added(OutcomeEntry),
            added(Verdict),
            added(Submission),
            added(Refusal),
        )
        .select_from(Obligation)
        .join(RollCall, RollCall.id == Obligation.roll_call_id)
        .where(Obligation.student_id == student_id, RollCall.notify_at <= at)
    )
    if roll_call_id is not None:
        asked = asked.where(RollCall.id == roll_call_id)
    return (student_id, *(await session.execute(asked)).one())


async def own_submission(session: AsyncSession, acting: Acting, submission_id: UUID) -> SubmissionView | None:
    """One attempt of the student."""
    submission = await session.get(Submission, submission_id)
    if submission is None or submission.student_id != acting.student_id:
        return None
    return SubmissionView(submission, await session.get(Verdict, submission_id))


async def _outcome(session: AsyncSession, obligation: Obligation) -> OutcomeEntry | None:
    return await session.scalar(
        effective().where(
            OutcomeEntry.roll_call_id == obligation.roll_call_id,
            OutcomeEntry.student_id == obligation.student_id,
        )
    )


async def _voided(session: AsyncSession, roll_call: RollCall) -> bool:
    return await session.get(RollCallStep, (roll_call.id, "voided")) is not None


async def own_submissions(
    session: AsyncSession, roll_call_id: UUID, student_id: UUID
) -> Sequence[SubmissionView]:
    """The student's attempts in a roll call, oldest first."""
    rows = await session.execute(
        select(Submission, Verdict)
        .outerjoin(Verdict, Verdict.submission_id == Submission.id)
        .where(Submission.roll_call_id == roll_call_id, Submission.student_id == student_id)
        .order_by(Submission.received_at)
    )
    return [SubmissionView(submission, verdict) for submission, verdict in rows]


async def refusals_of(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> Sequence[Refusal]:
    """What was refused on the spot, oldest first."""
    rows = await session.scalars(
        select(Refusal)
        .where(Refusal.roll_call_id == roll_call_id, Refusal.student_id == student_id)
        .order_by(Refusal.at)
    )
    return rows.all()


def _visible(acting: Acting, at: datetime) -> ColumnElement[bool]:
    """Announced, or launched by the caller's own side; row-level security has hidden the rest."""
    prefix = func.starts_with(RollCall.launcher_path + ".", acting.org_path + ".")
    return or_(RollCall.notify_at <= at, prefix)


async def roll_calls_page(
    session: AsyncSession, acting: Acting, at: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[RollCall]:
    """Roll calls that the caller may see, newest first."""
    found = select(RollCall).where(_visible(acting, at))
    classes = overseen_classes(acting)
    if classes is not None:
        mine = exists().where(RollCallClass.roll_call_id == RollCall.id, RollCallClass.class_id.in_(classes))
        found = found.where(mine)
    if after is not None:
        found = found.where(tuple_(RollCall.opens_at, RollCall.id) < after)
    rows = await session.scalars(found.order_by(RollCall.opens_at.desc(), RollCall.id.desc()).limit(limit))
    return rows.all()


async def steps_of(
    session: AsyncSession, roll_call_ids: Sequence[UUID]
) -> dict[UUID, dict[str, RollCallStep]]:
    """What has happened to each roll call, by step."""
    rows = await session.scalars(select(RollCallStep).where(RollCallStep.roll_call_id.in_(roll_call_ids)))
    steps: dict[UUID, dict[str, RollCallStep]] = {each: {} for each in roll_call_ids}
    for row in rows:
        steps[row.roll_call_id][row.step] = row
    return steps


def phase(roll_call: RollCall, steps: dict[str, RollCallStep], at: datetime) -> str:
    """Where a roll call stands: scheduled, announced, open, closing, settled or voided."""
    if "voided" in steps:
        return "voided"
    if "settled" in steps:
        return "settled"
    if at < roll_call.notify_at:
        return "scheduled"
    match rules.timing(at, roll_call.opens_at, roll_call.deadline):
        case rules.Timing.EARLY:
            return "announced"
        case rules.Timing.IN_TIME:
            return "open"
    return "closing"


@dataclass(frozen=True, slots=True)
class Missing:
    """A student who has not proven presence, with what the counselor needs to help."""

    student: Student
    school_class: SchoolClass
    submissions: int
    last_reasons: tuple[str, ...]
    last_refusal: str | None
    sent_to_a_person: bool
    outcome: OutcomeEntry | None


async def missing_page(
    session: AsyncSession,
    acting: Acting,
    roll_call_id: UUID,
    class_id: UUID | None,
    after: tuple[str, UUID] | None,
    limit: int,
) -> Sequence[Missing]:
    """Who is missing, by class and name; a counselor sees the own classes."""
    newest_verdict = (
        select(Verdict.reasons)
        .where(Verdict.roll_call_id == roll_call_id, Verdict.student_id == Student.id)
        .order_by(Verdict.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    newest_refusal = (
        select(Refusal.code)
        .where(Refusal.roll_call_id == roll_call_id, Refusal.student_id == Student.id)
        .order_by(Refusal.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    attempts = (
        select(func.count())
        .where(Submission.roll_call_id == roll_call_id, Submission.student_id == Student.id)
        .scalar_subquery()
    )
    sent = exists().where(
        Refusal.roll_call_id == roll_call_id,
        Refusal.student_id == Student.id,
        Refusal.code.in_(SENT_TO_A_PERSON),
    )
    outcome = _in_effect(roll_call_id)
    found = (
        select(Student, SchoolClass, outcome, attempts, newest_verdict, newest_refusal, sent)
        .select_from(Obligation)
        .join(Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, outcome.student_id == Obligation.student_id)
        .where(still_waiting(roll_call_id))
        .order_by(SchoolClass.name, Student.id)
        .limit(limit)
    )
    found = _overseen(found, acting, class_id)
    if after is not None:
        found = found.where(tuple_(SchoolClass.name, Student.id) > after)
    rows = (await session.execute(found)).all()
    return [
        Missing(student, school_class, count, tuple(reasons or ()), code, sent_there, entry)
        for student, school_class, entry, count, reasons, code, sent_there in rows
    ]


def _in_effect(roll_call_id: UUID) -> type[OutcomeEntry]:
    """Outcomes in effect of one roll call, to be joined as an entity."""
    return aliased(OutcomeEntry, effective().where(OutcomeEntry.roll_call_id == roll_call_id).subquery())


def _overseen(
    found: Select[*tuple[Any, ...]], acting: Acting, class_id: UUID | None
) -> Select[*tuple[Any, ...]]:
    classes = overseen_classes(acting)
    if classes is not None:
        found = found.where(Obligation.class_id.in_(classes))
    return found if class_id is None else found.where(Obligation.class_id == class_id)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the results of a roll call."""

    obligation: Obligation
    student: Student
    school_class: SchoolClass
    outcome: OutcomeEntry | None


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Which results to list."""

    outcome: str | None = None
    class_id: UUID | None = None
    school_id: UUID | None = None


async def results_page(
    session: AsyncSession,
    acting: Acting,
    roll_call_id: UUID,
    wanted: ResultFilter,
    after: UUID | None,
    limit: int,
) -> Sequence[Result]:
    """Everyone of the audience with the result in effect, in a stable order."""
    outcome = _in_effect(roll_call_id)
    found = (
        select(Obligation, Student, SchoolClass, outcome)
        .join(Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, outcome.student_id == Obligation.student_id)
        .where(Obligation.roll_call_id == roll_call_id)
        .order_by(Obligation.student_id)
        .limit(limit)
    )
    found = _overseen(found, acting, wanted.class_id)
    if wanted.school_id is not None:
        found = found.where(Obligation.school_id == wanted.school_id)
    if wanted.outcome is not None:
        found = found.where(outcome.outcome == wanted.outcome)
    if after is not None:
        found = found.where(Obligation.student_id > after)
    return [Result(*row) for row in (await session.execute(found)).all()]


async def schools_without_registration_check(
    session: AsyncSession, path: str, term_code: str, minimum: int
) -> Sequence[OrgUnit]:
    """Schools below `path` with fewer settled registration checks in the term than the law asks (HN334-4.1a)."""
    voided = aliased(RollCallStep)
    done = (
        select(func.count())
        .select_from(RollCall)
        .join(RollCallStep, and_(RollCallStep.roll_call_id == RollCall.id, RollCallStep.step == "settled"))
        .where(
            RollCall.kind == "registration",
            RollCall.launcher_id == OrgUnit.id,
            RollCall.term_code == term_code,
            ~exists().where(voided.roll_call_id == RollCall.id, voided.step == "voided"),
        )
        .scalar_subquery()
    )
    rows = await session.scalars(
        select(OrgUnit).where(OrgUnit.kind == "school", under(path), done < minimum).order_by(OrgUnit.code)
    )
    return rows.all()
