"""Read models of roll calls: a student's own, and what staff look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.tenancy import scope_of
from backend.org.queries import under
from backend.org.tables import OrgUnit
from backend.roll_call import rules
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.outcomes import load_term, obligation_of, outcome_of
from backend.roll_call.oversight import overseen_classes
from backend.roll_call.partitioning import of_own_school
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


async def own_roll_call(session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime) -> OwnRollCall:
    """One announced roll call of the student; any other is not there."""
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None or roll_call.notify_at > at or actor.student_id is None:
        raise NotFound
    obligation = await obligation_of(session, roll_call, actor.student_id)
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


async def own_submission(session: AsyncSession, actor: Actor, submission_id: UUID) -> SubmissionView | None:
    """One attempt of the student."""
    submission = await session.get(Submission, submission_id)
    if submission is None or submission.student_id != actor.student_id:
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
            Submission.term_code == load_term(roll_call_id),
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
            Refusal.term_code == load_term(roll_call_id),
            Refusal.roll_call_id == roll_call_id,
            Refusal.student_id == student_id,
            *of_own_school(session, Refusal.school_id),
        )
        .order_by(Refusal.at)
    )
    return rows.all()


def _visible(actor: Actor, at: datetime) -> ColumnElement[bool]:
    """Announced, or launched by the caller's own side; row-level security has hidden the rest."""
    prefix = func.starts_with(RollCall.launcher_path + ".", actor.org_path + ".")
    return or_(RollCall.notify_at <= at, prefix)


async def roll_calls_page(
    session: AsyncSession, actor: Actor, at: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[RollCall]:
    """Roll calls that the caller may see, newest first."""
    found = select(RollCall).where(_visible(actor, at))
    classes = overseen_classes(actor)
    if classes is not None:
        mine = exists().where(
            RollCallClass.term_code == RollCall.term_code,
            RollCallClass.roll_call_id == RollCall.id,
            RollCallClass.school_id == actor.school_id,
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
