"""Pairs of similar faces for a person of the superior authority: inserted rarely, listed, and answered once.

Nothing is held, blocked or decided about a student by a pair. Only a confirmed one is reported to the schools.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Select, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.identity.consents import SEARCH_CONSENTS, has_granted
from backend.identity.events import DuplicateCandidateFound, SharedPictureFound
from backend.identity.face.duplicates.errors import CandidateAnswered, CandidatePicturesNotSeen
from backend.identity.face.duplicates.pairs import Found
from backend.identity.face.duplicates.policy import SearchRules, find_search_rules
from backend.identity.face.duplicates.tables import DuplicateAnswer, DuplicateCandidate
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.pictures.errors import PictureGone
from backend.identity.pictures.opening import OpenedPicture, open_picture, record_picture_view
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.tables import PictureView
from backend.identity.tables import Portrait
from backend.org.paths import common_superior_path
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy import PolicyAt

Answer = Literal["same_person", "different", "unsure"]
Whose = Literal["student", "other"]


async def insert_candidates(
    session: AsyncSession, engine: str, found: Sequence[Found], rules: SearchRules, at: datetime
) -> int:
    """Insert pairs that are among the highest of their school and week, each pair once. Returns how many.

    `found` has the highest score first.
    """
    inserted = 0
    scores = await _load_week_scores(session, {each.one.school_id for each in found}, at)
    for each in found:
        week = scores[each.one.school_id]
        if sum(score >= each.score for score in week) >= rules.per_school_week:
            continue
        if await _insert(session, engine, each, at):
            week.append(each.score)
            inserted += 1
    return inserted


async def _load_week_scores(
    session: AsyncSession, school_ids: set[UUID], at: datetime
) -> defaultdict[UUID, list[float]]:
    today = legal_day(at)
    monday = datetime.combine(today - timedelta(days=today.weekday()), time.min, tzinfo=LEGAL_ZONE)
    rows = await session.execute(
        select(DuplicateCandidate.school_id, DuplicateCandidate.score).where(
            DuplicateCandidate.school_id.in_(school_ids), DuplicateCandidate.at >= monday
        )
    )
    scores = defaultdict[UUID, list[float]](list)
    for school_id, score in rows:
        scores[school_id].append(score)
    return scores


async def _insert(session: AsyncSession, engine: str, found: Found, at: datetime) -> bool:
    row = {
        "id": new_id(),
        "school_id": found.one.school_id,
        "student_id": found.one.student_id,
        "other_school_id": found.other.school_id,
        "other_student_id": found.other.student_id,
        "enrolment_id": found.one.enrolment_id,
        "engine": engine,
        "score": found.score,
        "shown_from": found.shown_from,
        "compared": found.compared,
        "at": at,
    }
    statement = insert(DuplicateCandidate).values(row).on_conflict_do_nothing()
    candidate_id = await session.scalar(statement.returning(DuplicateCandidate.id))
    if candidate_id is None:
        return False
    ids = {found.one.school_id, found.other.school_id}
    paths = {unit.id: unit.path for unit in await session.scalars(select(OrgUnit).where(OrgUnit.id.in_(ids)))}
    path = common_superior_path(paths[found.one.school_id], paths[found.other.school_id])
    await outbox.emit(session, DuplicateCandidateFound(path=path, candidate_id=candidate_id), at)
    return True


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A pair that waits for an answer, with both students and their schools."""

    candidate: DuplicateCandidate
    student: Student
    school_name: str
    other: Student
    other_school_name: str


CandidateSort = Literal["found_at", "-found_at", "name", "-name"]
CANDIDATE_SORTS = ListSorts(
    DuplicateCandidate.id,
    {"found_at": DuplicateCandidate.id, "name": by_name(Student.name)},
    default="-found_at",
)
"""An id begins with the time. The name is that of the first student of the pair."""


async def load_candidates_page(
    session: AsyncSession, actor: Actor, policy: PolicyAt, request: PageRequest
) -> ListPage[CandidateRow]:
    """A page of the open pairs: both students are below the caller, and still agree to the search."""
    _require_superior(actor)
    found = await load_page(session, _select_open(find_search_rules(policy)), CANDIDATE_SORTS, request)
    return found.with_rows([CandidateRow(*row) for row in found.rows])


def _select_open(rules: SearchRules | None) -> Select[DuplicateCandidate, Student, str, Student, str]:
    """Pairs among the highest of their school and week, without an answer. None while the search is off."""
    week = func.date_trunc("week", func.timezone(LEGAL_ZONE.key, DuplicateCandidate.at))
    rank = func.row_number().over(
        partition_by=(DuplicateCandidate.school_id, week), order_by=DuplicateCandidate.score.desc()
    )
    ranked = select(DuplicateCandidate.id, rank.label("place")).subquery()
    other, own_school, other_school = aliased(Student), aliased(OrgUnit), aliased(OrgUnit)
    return (
        select(DuplicateCandidate, Student, own_school.name, other, other_school.name)
        .join(ranked, ranked.c.id == DuplicateCandidate.id)
        .join(Student, Student.id == DuplicateCandidate.student_id)
        .join(own_school, own_school.id == Student.school_id)
        .join(other, other.id == DuplicateCandidate.other_student_id)
        .join(other_school, other_school.id == other.school_id)
        .where(
            ranked.c.place <= (0 if rules is None else rules.per_school_week),
            ~exists().where(DuplicateAnswer.candidate_id == DuplicateCandidate.id),
            has_granted(DuplicateCandidate.student_id.expression, *SEARCH_CONSENTS),
            has_granted(DuplicateCandidate.other_student_id.expression, *SEARCH_CONSENTS),
        )
    )


async def _access(session: AsyncSession, actor: Actor, policy: PolicyAt, candidate_id: UUID) -> CandidateRow:
    """Load an open pair. Raises `NotPermitted`, `NotFound` and `CandidateAnswered`."""
    _require_superior(actor)
    query = _select_open(find_search_rules(policy)).where(DuplicateCandidate.id == candidate_id)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        if await _was_answered_below(session, candidate_id):
            raise CandidateAnswered
        raise NotFound
    return CandidateRow(*row)


async def _was_answered_below(session: AsyncSession, candidate_id: UUID) -> bool:
    """Whether the pair was answered and both students are below the caller, who sees no students of other units.

    The answer itself is visible to the superior of each school.
    """
    other = aliased(Student)
    answered = (
        select(DuplicateAnswer.candidate_id)
        .join(DuplicateCandidate, DuplicateCandidate.id == DuplicateAnswer.candidate_id)
        .join(Student, Student.id == DuplicateCandidate.student_id)
        .join(other, other.id == DuplicateCandidate.other_student_id)
        .where(DuplicateAnswer.candidate_id == candidate_id)
    )
    return await session.scalar(answered) is not None


def _require_superior(actor: Actor) -> None:
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="相似人脸由两校共同的上级部门核对",
            reason_en="similar faces are compared by the common superior of both schools",
        )


async def read_candidate_portrait(
    app_context: AppContext, actor: Actor, policy: PolicyAt, candidate_id: UUID, whose: Whose, at: datetime
) -> OpenedPicture:
    """The ID portrait of one of the students, after the look is recorded. Raises `PictureGone` without one."""
    async with app_context.database.transaction(actor.scope) as session:
        row = await _access(session, actor, policy, candidate_id)
        student = row.student if whose == "student" else row.other
        portrait = await session.scalar(
            select(Portrait)
            .where(
                Portrait.student_id == student.id,
                Portrait.status == "accepted",
                Portrait.picture_deleted_at.is_(None),
            )
            .order_by(Portrait.submitted_at.desc())
            .limit(1)
        )
        if portrait is None:
            raise PictureGone
        picture = PortraitRef.of(portrait).picture
        view = await record_picture_view(session, actor, picture, PicturePurpose.DUPLICATE_SEARCH, at)
    return await open_picture(app_context, view)


@dataclass(frozen=True, slots=True)
class AnswerCandidate:
    """Command: whether the two students are one person."""

    candidate_id: UUID
    answer: Answer
    note: str


async def answer_candidate(
    session: AsyncSession, actor: Actor, policy: PolicyAt, command: AnswerCandidate, at: datetime
) -> DuplicateAnswer:
    """Record the one answer. "Same person" is reported to the registrars of both schools; nothing else happens.

    Raises `CandidatePicturesNotSeen` unless the actor has opened both portraits.
    """
    row = await _access(session, actor, policy, command.candidate_id)
    candidate = row.candidate
    await _require_seen(session, actor, candidate)
    answered = await session.scalar(
        insert(DuplicateAnswer)
        .values(
            candidate_id=candidate.id,
            school_id=candidate.school_id,
            other_school_id=candidate.other_school_id,
            answer=command.answer,
            note=command.note,
            answered_by=actor.account_id,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(DuplicateAnswer.candidate_id)
    )
    if answered is None:
        raise CandidateAnswered
    after = {"candidate": str(candidate.id), "answer": command.answer}
    act = audit.Act("DuplicateAnswered", "student", str(candidate.student_id), actor.org_path, after=after)
    audit.record(session, act, at)
    if command.answer == "same_person":
        await _report(session, candidate, at)
    return await session.get_one(DuplicateAnswer, candidate.id)


async def _require_seen(session: AsyncSession, actor: Actor, candidate: DuplicateCandidate) -> None:
    students = {candidate.student_id, candidate.other_student_id}
    seen = await session.scalars(
        select(PictureView.student_id).where(
            PictureView.student_id.in_(students),
            PictureView.account_id == actor.account_id,
            PictureView.purpose == PicturePurpose.DUPLICATE_SEARCH,
            PictureView.at >= candidate.at,
        )
    )
    if set(seen) != students:
        raise CandidatePicturesNotSeen


async def _report(session: AsyncSession, candidate: DuplicateCandidate, at: datetime) -> None:
    """Report the pair as pictures that were sent for two students are reported: to the school of each."""
    ids = {candidate.school_id, candidate.other_school_id}
    paths = {unit.id: unit.path for unit in await session.scalars(select(OrgUnit).where(OrgUnit.id.in_(ids)))}
    own = SharedPictureFound(
        school_id=candidate.school_id,
        path=paths[candidate.school_id],
        student_id=candidate.student_id,
        other_school_id=candidate.other_school_id,
        other_student_id=candidate.other_student_id,
        source="face_enrolment",
        source_id=candidate.enrolment_id,
        kind="same_person",
        sent_by_other=False,
    )
    await outbox.emit(session, own, at)
    if candidate.other_school_id != candidate.school_id:
        theirs = replace(
            own,
            school_id=candidate.other_school_id,
            path=paths[candidate.other_school_id],
            student_id=candidate.other_student_id,
            other_school_id=candidate.school_id,
            other_student_id=candidate.student_id,
            sent_by_other=True,
        )
        await outbox.emit(session, theirs, at)
