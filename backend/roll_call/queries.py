"""Read models of roll calls: a student's own, and what staff look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, exists, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from backend.core.acting import Acting
from backend.core.errors import NotFound
from backend.core.tenancy import scope_of
from backend.org.queries import under
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call import rules
from backend.roll_call.by_term import of_own_school
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.outcomes import obligation_of, outcome_of, term_of
from backend.roll_call.oversight import overseen_classes
from backend.roll_call.tables import (
    Obligation,
    OutcomeEntry,
    Refusal,
    RollCall,
    RollCallClass,
    RollCallSchool,
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
    addressed = select(RollCallSchool.roll_call_id).where(
        RollCallSchool.school_id == scope_of(session).school_id
    )
    found = (
        select(RollCall)
        .where(RollCall.id.in_(addressed), RollCall.notify_at <= at)
        .order_by(RollCall.opens_at.desc(), RollCall.id.desc())
    )
    if after is not None:
        found = found.where(tuple_(RollCall.opens_at, RollCall.id) < after)
    # Not everyone of a school is asked every time, so the page is cut where the student's own are known.
    asked = {roll_call.id: roll_call for roll_call in await session.scalars(found)}
    own = await session.scalars(
        select(Obligation).where(*_of_student(session, Obligation, asked, student_id))
    )
    obligations = {obligation.roll_call_id: obligation for obligation in own}
    shown = {key: roll_call for key, roll_call in asked.items() if key in obligations}
    shown = dict(islice(shown.items(), limit))
    outcomes: dict[UUID, OutcomeEntry] = {}
    entries = select(OutcomeEntry).where(*_of_student(session, OutcomeEntry, shown, student_id))
    for entry in await session.scalars(entries.order_by(OutcomeEntry.seq)):
        outcomes[entry.roll_call_id] = entry
    steps = await steps_of(session, list(shown))
    sent = await _sent_to_a_person(session, student_id, shown)
    return [
        OwnRollCall(
            roll_call,
            obligations[key],
            outcomes.get(key),
            voided="voided" in steps[key],
            sent_to_a_person=key in sent,
        )
        for key, roll_call in shown.items()
    ]


def _of_student(
    session: AsyncSession,
    table: type[Obligation | OutcomeEntry | Refusal],
    roll_calls: Mapping[UUID, RollCall],
    student_id: UUID,
) -> Sequence[ColumnElement[bool]]:
    """A student's rows in some roll calls: by the key, in the partitions of their terms alone."""
    return (
        table.term_code.in_({roll_call.term_code for roll_call in roll_calls.values()}),
        table.roll_call_id.in_(roll_calls),
        table.student_id == student_id,
        *of_own_school(session, table.school_id),
    )


async def own_roll_call(
    session: AsyncSession, acting: Acting, roll_call_id: UUID, at: datetime
) -> OwnRollCall:
    """One announced roll call of the student; any other is not there."""
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None or roll_call.notify_at > at or acting.student_id is None:
        raise NotFound
    obligation = await obligation_of(session, roll_call, acting.student_id)
    if obligation is None:
        raise NotFound
    sent = await _sent_to_a_person(session, obligation.student_id, {roll_call_id: roll_call})
    return OwnRollCall(
        roll_call,
        obligation,
        await outcome_of(session, roll_call_id, obligation.student_id),
        voided=await _voided(session, roll_call),
        sent_to_a_person=bool(sent),
    )


async def _sent_to_a_person(
    session: AsyncSession, student_id: UUID, roll_calls: Mapping[UUID, RollCall]
) -> set[UUID]:
    """Those of the roll calls in which the student was sent to the counselor."""
    found = await session.scalars(
        select(Refusal.roll_call_id).where(
            *_of_student(session, Refusal, roll_calls, student_id), Refusal.code.in_(SENT_TO_A_PERSON)
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


def same_submission() -> ColumnElement[bool]:
    """Beside `submission`: its verdict, in the partition of its term."""
    return and_(
        Verdict.term_code == Submission.term_code,
        Verdict.school_id == Submission.school_id,
        Verdict.submission_id == Submission.id,
    )


async def _voided(session: AsyncSession, roll_call: RollCall) -> bool:
    return await session.get(RollCallStep, (roll_call.id, "voided")) is not None


async def own_submissions(
    session: AsyncSession, roll_call_id: UUID, student_id: UUID
) -> Sequence[SubmissionView]:
    """The student's attempts in a roll call, oldest first."""
    rows = await session.execute(
        select(Submission, Verdict)
        .outerjoin(Verdict, same_submission())
        .where(
            Submission.term_code == term_of(roll_call_id),
            Submission.roll_call_id == roll_call_id,
            Submission.student_id == student_id,
            *of_own_school(session, Submission.school_id),
        )
        .order_by(Submission.received_at)
    )
    return [SubmissionView(submission, verdict) for submission, verdict in rows]


async def refusals_of(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> Sequence[Refusal]:
    """What was refused on the spot, oldest first."""
    rows = await session.scalars(
        select(Refusal)
        .where(
            Refusal.term_code == term_of(roll_call_id),
            Refusal.roll_call_id == roll_call_id,
            Refusal.student_id == student_id,
            *of_own_school(session, Refusal.school_id),
        )
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
        mine = exists().where(
            RollCallClass.term_code == RollCall.term_code,
            RollCallClass.roll_call_id == RollCall.id,
            RollCallClass.school_id == acting.school_id,
            RollCallClass.class_id.in_(classes),
        )
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

    school_id: UUID
    student: Student
    school_class: SchoolClass
    submissions: int
    last_reasons: tuple[str, ...]
    last_refusal: str | None
    sent_to_a_person: bool
    outcome: OutcomeEntry | None


MissingAfter = tuple[UUID, str, UUID]
"""Where a page of the missing goes on: behind this school, name of a class, and student."""


async def missing_page(
    session: AsyncSession,
    acting: Acting,
    roll_call: RollCall,
    class_id: UUID | None,
    after: MissingAfter | None,
    limit: int,
) -> Sequence[Missing]:
    """Who is missing, by school, class and name; a counselor sees the own classes.

    An authority's list is read school by school, twice as many each time, until the page is full: a province is not
    sorted for a hundred lines.
    """
    if acting.school_id is not None:
        return await _missing(session, acting, roll_call, class_id, after, limit)
    asked = select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call.id)
    if after is not None:
        asked = asked.where(RollCallSchool.school_id >= after[0])
    schools = (await session.scalars(asked.order_by(RollCallSchool.school_id))).all()
    found: list[Missing] = []
    first, size = 0, 2
    while first < len(schools) and len(found) < limit:
        some = schools[first : first + size]
        left = limit - len(found)
        found += await _missing(session, acting, roll_call, class_id, after, left, some)
        first, size = first + size, size * 2
    return found


async def _missing(
    session: AsyncSession,
    acting: Acting,
    roll_call: RollCall,
    class_id: UUID | None,
    after: MissingAfter | None,
    limit: int,
    schools: Sequence[UUID] = (),
) -> Sequence[Missing]:
    outcome = _in_effect(roll_call)
    found = (
        select(
            Obligation.school_id,
            Student,
            SchoolClass,
            outcome,
            _tried(roll_call, Submission, func.count()),
            _tried(roll_call, Verdict, Verdict.reasons, newest=Verdict.at),
            _tried(roll_call, Refusal, Refusal.code, newest=Refusal.at),
            _sent_there(roll_call),
        )
        .select_from(Obligation)
        .join(Student, Student.id == Obligation.student_id)
        # The school of the class is said as well: a province has more classes than a school has students.
        .join(
            SchoolClass,
            and_(SchoolClass.id == Obligation.class_id, SchoolClass.school_id == Obligation.school_id),
        )
        .outerjoin(outcome, true())
        .where(
            *_audience(roll_call, acting),
            Obligation.duty == "owed",
            func.coalesce(outcome.outcome, "") != rules.Outcome.PRESENT.value,
        )
        .order_by(Obligation.school_id, SchoolClass.name, Obligation.student_id)
        .limit(limit)
    )
    found = _overseen(found, acting, class_id)
    if schools:
        found = found.where(Obligation.school_id.in_(schools), SchoolClass.school_id.in_(schools))
    if after is not None:
        position = tuple_(Obligation.school_id, SchoolClass.name, Obligation.student_id)
        found = found.where(position > after)
    rows = (await session.execute(found)).all()
    return [
        Missing(school_id, student, school_class, count, tuple(reasons or ()), code, sent_there, entry)
        for school_id, student, school_class, entry, count, reasons, code, sent_there in rows
    ]


def _audience(roll_call: RollCall, acting: Acting) -> Sequence[ColumnElement[bool]]:
    """Of `obligation` rows: those of the roll call, and of the caller's school, which an index finds."""
    of_it = [Obligation.term_code == roll_call.term_code, Obligation.roll_call_id == roll_call.id]
    return of_it if acting.school_id is None else [*of_it, Obligation.school_id == acting.school_id]


def _tried(
    roll_call: RollCall,
    table: type[Submission | Verdict | Refusal],
    what: ColumnElement[Any] | InstrumentedAttribute[Any],
    newest: InstrumentedAttribute[datetime] | None = None,
) -> ScalarSelect[Any]:
    """Of each student's attempts in the roll call: of all, or of the newest one."""
    found = select(what).where(
        table.term_code == roll_call.term_code,
        table.roll_call_id == roll_call.id,
        table.school_id == Obligation.school_id,
        table.student_id == Obligation.student_id,
    )
    if newest is not None:
        found = found.order_by(newest.desc()).limit(1)
    return found.correlate(Obligation).scalar_subquery()


def _sent_there(roll_call: RollCall) -> ColumnElement[bool]:
    """Of `obligation` rows: whether the student was sent to the counselor."""
    return exists().where(
        Refusal.term_code == roll_call.term_code,
        Refusal.roll_call_id == roll_call.id,
        Refusal.school_id == Obligation.school_id,
        Refusal.student_id == Obligation.student_id,
        Refusal.code.in_(SENT_TO_A_PERSON),
    )


def _in_effect(roll_call: RollCall) -> type[OutcomeEntry]:
    """The outcome in effect of each `obligation` row, to be joined as an entity."""
    newest = (
        select(OutcomeEntry)
        .where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call.id,
            OutcomeEntry.school_id == Obligation.school_id,
            OutcomeEntry.student_id == Obligation.student_id,
        )
        .order_by(OutcomeEntry.seq.desc())
        .limit(1)
    )
    return aliased(OutcomeEntry, newest.correlate(Obligation).lateral())


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
    roll_call: RollCall,
    wanted: ResultFilter,
    after: UUID | None,
    limit: int,
) -> Sequence[Result]:
    """Everyone of the audience with the result in effect, in a stable order."""
    outcome = _in_effect(roll_call)
    found = (
        select(Obligation, Student, SchoolClass, outcome)
        .join(Student, Student.id == Obligation.student_id)
        .join(SchoolClass, SchoolClass.id == Obligation.class_id)
        .outerjoin(outcome, true())
        .where(*_audience(roll_call, acting))
        .order_by(Obligation.student_id)
        .limit(limit)
    )
    found = _overseen(found, acting, wanted.class_id)
    if wanted.school_id is not None:
        found = found.where(Obligation.school_id == wanted.school_id)
    if wanted.outcome is not None:
        found = found.where(outcome.outcome == wanted.outcome)
    if wanted.outcome not in {None, rules.Outcome.PRESENT}:
        ever = select(OutcomeEntry.student_id).where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call.id,
            OutcomeEntry.outcome == wanted.outcome,
            OutcomeEntry.outcome != rules.Outcome.PRESENT.value,  # by which an index of the few is found
        )
        found = found.where(Obligation.student_id.in_(ever))
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
