"""Queries for students: their own roll calls, submissions and refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.tenancy import scope_of
from backend.roll_call.errors import SENT_TO_A_PERSON
from backend.roll_call.looks.conditions import is_unanswered
from backend.roll_call.outcomes import find_current_outcome, find_obligation, roll_call_term
from backend.roll_call.partitioning import own_school_filter
from backend.roll_call.rules import REHEARSAL, REHEARSED, Outcome
from backend.roll_call.tables import (
    LookAnswer,
    LookClosing,
    LookRequest,
    Obligation,
    OutcomeEntry,
    Refusal,
    RollCall,
    RollCallSchool,
    RollCallStep,
    Submission,
    VerdictRecord,
)

_Counted = OutcomeEntry | VerdictRecord | Submission | Refusal | LookRequest | LookAnswer | LookClosing


@dataclass(frozen=True, slots=True)
class StudentRollCall:
    """A roll call with the student's obligation and current outcome, and who of the staff has to act.

    `sent_to_a_person`: the student was sent to the counselor.
    """

    roll_call: RollCall
    obligation: Obligation
    outcome: OutcomeEntry | None
    voided: bool
    sent_to_a_person: bool
    look_until: datetime | None = None
    """Until when a person looks at the student's pictures, if one does."""
    rehearsed: bool = False
    """Whether everything but the face passed in a check-in of this rehearsal."""

    @property
    def is_undetermined_rehearsal(self) -> bool:
        """Whether this is a rehearsal that is undetermined for the student, or will be: nothing follows from it."""
        if self.roll_call.kind != REHEARSAL:
            return False
        return self.rehearsed if self.outcome is None else self.outcome.outcome == Outcome.UNDETERMINED


@dataclass(frozen=True, slots=True)
class SubmissionWithVerdict:
    """A submission with its verdict, if there is one yet."""

    submission: Submission
    verdict: VerdictRecord | None


async def load_student_roll_calls(
    session: AsyncSession,
    student_id: UUID,
    at: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
    term_code: str | None = None,
) -> Sequence[StudentRollCall]:
    """A page of the student's announced roll calls, newest first, of one term or of all."""
    addressed = select(RollCallSchool.roll_call_id).where(
        RollCallSchool.school_id == scope_of(session).school_id
    )
    of_school = (
        select(RollCall)
        .where(RollCall.id.in_(addressed), RollCall.notify_at <= at)
        .order_by(RollCall.opens_at.desc(), RollCall.id.desc())
    )
    if term_code is not None:
        of_school = of_school.where(RollCall.term_code == term_code)
    if after is not None:
        of_school = of_school.where(tuple_(RollCall.opens_at, RollCall.id) < after)
    # A roll call does not include every student of a school, so the limit applies only after loading the obligations.
    candidates = {roll_call.id: roll_call for roll_call in await session.scalars(of_school)}
    own = await session.scalars(
        select(Obligation).where(*_student_filter(session, Obligation, candidates, student_id))
    )
    obligations = {obligation.roll_call_id: obligation for obligation in own}
    with_obligation = ((key, roll_call) for key, roll_call in candidates.items() if key in obligations)
    page = dict(islice(with_obligation, limit))
    outcomes: dict[UUID, OutcomeEntry] = {}
    entries = select(OutcomeEntry).where(*_student_filter(session, OutcomeEntry, page, student_id))
    for entry in await session.scalars(entries.order_by(OutcomeEntry.seq)):
        outcomes[entry.roll_call_id] = entry
    voided = set(
        await session.scalars(
            select(RollCallStep.roll_call_id).where(
                RollCallStep.roll_call_id.in_(page), RollCallStep.step == "voided"
            )
        )
    )
    referred = await _load_referred_roll_calls(session, student_id, page)
    looks = await _load_open_looks(session, student_id, page)
    rehearsed = await _load_rehearsed(session, student_id, page)
    return [
        StudentRollCall(
            roll_call,
            obligations[key],
            outcomes.get(key),
            voided=key in voided,
            sent_to_a_person=key in referred,
            look_until=looks.get(key),
            rehearsed=key in rehearsed,
        )
        for key, roll_call in page.items()
    ]


def _student_filter(
    session: AsyncSession,
    table: type[Obligation | OutcomeEntry | Refusal | LookRequest | VerdictRecord],
    roll_calls: Mapping[UUID, RollCall],
    student_id: UUID,
) -> Sequence[ColumnElement[bool]]:
    """Conditions for a student's rows in some roll calls, in the partitions of their terms only."""
    return (
        table.term_code.in_({roll_call.term_code for roll_call in roll_calls.values()}),
        table.roll_call_id.in_(roll_calls),
        table.student_id == student_id,
        *own_school_filter(session, table.school_id),
    )


async def load_student_roll_call(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> StudentRollCall:
    """One announced roll call of the student. Raises `NotFound` for any other."""
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None or roll_call.notify_at > at or actor.student_id is None:
        raise NotFound
    obligation = await find_obligation(session, roll_call, actor.student_id)
    if obligation is None:
        raise NotFound
    referred = await _load_referred_roll_calls(session, obligation.student_id, {roll_call_id: roll_call})
    looks = await _load_open_looks(session, obligation.student_id, {roll_call_id: roll_call})
    rehearsed = await _load_rehearsed(session, obligation.student_id, {roll_call_id: roll_call})
    return StudentRollCall(
        roll_call,
        obligation,
        await find_current_outcome(session, roll_call_id, obligation.student_id),
        voided=await session.get(RollCallStep, (roll_call_id, "voided")) is not None,
        sent_to_a_person=bool(referred),
        look_until=looks.get(roll_call_id),
        rehearsed=roll_call_id in rehearsed,
    )


async def _load_referred_roll_calls(
    session: AsyncSession, student_id: UUID, roll_calls: Mapping[UUID, RollCall]
) -> set[UUID]:
    """The roll calls in which the student was sent to the counselor."""
    roll_call_ids = await session.scalars(
        select(Refusal.roll_call_id).where(
            *_student_filter(session, Refusal, roll_calls, student_id), Refusal.code.in_(SENT_TO_A_PERSON)
        )
    )
    return set(roll_call_ids)


async def _load_rehearsed(
    session: AsyncSession, student_id: UUID, roll_calls: Mapping[UUID, RollCall]
) -> set[UUID]:
    """The rehearsals among the roll calls in which everything but the face of the student passed."""
    rehearsals = {key: each for key, each in roll_calls.items() if each.kind == REHEARSAL}
    if not rehearsals:
        return set()
    found = select(VerdictRecord.roll_call_id).where(
        *_student_filter(session, VerdictRecord, rehearsals, student_id),
        VerdictRecord.reasons.contains([REHEARSED]),
    )
    return set(await session.scalars(found))


async def _load_open_looks(
    session: AsyncSession, student_id: UUID, roll_calls: Mapping[UUID, RollCall]
) -> dict[UUID, datetime]:
    """Until when a person looks at pictures of the student, by roll call. Reviews are not the student's concern."""
    rows = await session.execute(
        select(LookRequest.roll_call_id, func.max(LookRequest.expires_at).label("until"))
        .where(
            *_student_filter(session, LookRequest, roll_calls, student_id),
            LookRequest.reviews.is_(None),
            is_unanswered(),
        )
        .group_by(LookRequest.roll_call_id)
    )
    return {row.roll_call_id: row.until for row in rows}


async def load_view_version(
    session: AsyncSession, student_id: UUID, at: datetime, roll_call_id: UUID | None = None
) -> tuple[object, ...]:
    """A value that changes whenever the student's view of the roll calls, or of one, changes; used as an ETag.

    It counts the student's rows in tables to which rows are only added, and the changes that come with time as of `at`.
    """

    def count_rows(table: type[_Counted]) -> ColumnElement[int]:
        rows = select(func.count()).select_from(table).where(table.student_id == student_id)
        if roll_call_id is not None:
            rows = rows.where(table.roll_call_id == roll_call_id)
        return rows.scalar_subquery()

    voided = (
        select(func.count(RollCallStep.roll_call_id))
        .where(RollCallStep.roll_call_id == RollCall.id, RollCallStep.step == "voided")
        .correlate(RollCall)
        .scalar_subquery()
    )
    deadline = func.coalesce(RollCall.extended_until, RollCall.closes_at)
    version = (
        select(
            func.count(),
            func.count().filter(RollCall.opens_at <= at),
            func.count().filter(deadline < at),
            func.max(deadline),
            func.sum(voided),
            count_rows(OutcomeEntry),
            count_rows(VerdictRecord),
            count_rows(Submission),
            count_rows(Refusal),
            count_rows(LookRequest),
            count_rows(LookAnswer),
            count_rows(LookClosing),
        )
        .select_from(Obligation)
        .join(RollCall, RollCall.id == Obligation.roll_call_id)
        .where(Obligation.student_id == student_id, RollCall.notify_at <= at)
    )
    if roll_call_id is not None:
        version = version.where(RollCall.id == roll_call_id)
    return (student_id, *(await session.execute(version)).one())


async def load_own_submission(
    session: AsyncSession, actor: Actor, submission_id: UUID
) -> SubmissionWithVerdict | None:
    """One submission of the student with its verdict, or None."""
    submission = await session.get(Submission, submission_id)
    if submission is None or submission.student_id != actor.student_id:
        return None
    return SubmissionWithVerdict(submission, await session.get(VerdictRecord, submission_id))


def is_verdict_of_submission() -> ColumnElement[bool]:
    """Join condition from `submission` to its verdict, in the partition of the same term."""
    return and_(
        VerdictRecord.term_code == Submission.term_code,
        VerdictRecord.school_id == Submission.school_id,
        VerdictRecord.submission_id == Submission.id,
    )


async def load_submissions(
    session: AsyncSession, roll_call_id: UUID, student_id: UUID
) -> Sequence[SubmissionWithVerdict]:
    """The student's submissions in a roll call with their verdicts, oldest first."""
    rows = await session.execute(
        select(Submission, VerdictRecord)
        .outerjoin(VerdictRecord, is_verdict_of_submission())
        .where(
            Submission.term_code == roll_call_term(roll_call_id),
            Submission.roll_call_id == roll_call_id,
            Submission.student_id == student_id,
            *own_school_filter(session, Submission.school_id),
        )
        .order_by(Submission.received_at)
    )
    return [SubmissionWithVerdict(submission, verdict) for submission, verdict in rows]


async def load_refusals(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> Sequence[Refusal]:
    """The attempts of the student that were refused immediately, oldest first."""
    rows = await session.scalars(
        select(Refusal)
        .where(
            Refusal.term_code == roll_call_term(roll_call_id),
            Refusal.roll_call_id == roll_call_id,
            Refusal.student_id == student_id,
            *own_school_filter(session, Refusal.school_id),
        )
        .order_by(Refusal.at)
    )
    return rows.all()
