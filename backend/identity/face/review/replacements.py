"""Replacing an enrolled face: two persons approve, one of the school and one of its superior.

The student submits new shots. The school's person (the registrar, or the counselor of the class) compares the student in
person with them; the superior's person compares them with the ID portrait. Either can refuse. Until both have approved,
the earlier template stays in use; a student without one is verified without a face.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.identity.consents import switch_to_face_route
from backend.identity.events import (
    FaceEnrolled,
    FaceEnrolmentRefused,
    FaceReplacementDecided,
    FaceReplacementRequested,
    FaceReplacementSeen,
)
from backend.identity.face.picture_refs import EnrolmentRef
from backend.identity.face.reasons import reason_json
from backend.identity.face.review.errors import ReplacementClosed, ReplacementNotSeen
from backend.identity.face.templates import activate_proposed_template, refuse_proposed_template
from backend.identity.pictures.errors import PictureGone
from backend.identity.pictures.opening import OpenedPicture, open_picture, record_picture_view
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.recipients import AUTHORITY_ROLES
from backend.identity.tables import FaceEnrolment, FaceReplacementAnswer, FaceTemplateRecord
from backend.org.tables import OrgUnit
from backend.people.queries import classes_of_counselor
from backend.people.tables import Student
from biometrics.pictures.quality import Reason

Side = Literal["school", "superior"]
ReplacementState = Literal["open", "approved", "refused"]
_STATUS = {"open": "review", "approved": "accepted", "refused": "refused"}

REPLACEMENT_REFUSED = Reason(
    "face_replacement_refused",
    "更换人脸的申请未获同意。原有方式不变，可以当面联系辅导员后重新申请。",
    "The replacement of your face was not approved. Nothing changes; see your counselor in person, then apply again.",
)


@dataclass(frozen=True, slots=True)
class AnswerReplacement:
    """The answer of one person."""

    enrolment_id: UUID
    approved: bool
    seen_in_person: bool
    reasons: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A replacement with its student and the answers given."""

    enrolment: FaceEnrolment
    student: Student
    answers: Sequence[FaceReplacementAnswer]


async def emit_requested(session: AsyncSession, enrolment: FaceEnrolment, at: datetime) -> None:
    """Announce to the school that a new face waits for approval."""
    event = FaceReplacementRequested(
        school_id=enrolment.school_id,
        path=await _school_path(session, enrolment.school_id),
        student_id=enrolment.student_id,
        enrolment_id=enrolment.id,
    )
    await outbox.emit(session, event, at)


async def answer_replacement(
    session: AsyncSession, actor: Actor, command: AnswerReplacement, at: datetime
) -> Replacement:
    """Record one person's answer. A refusal ends the replacement; the second approval carries it out.

    Raises `NotFound`, `ReplacementClosed`, and `ReplacementNotSeen` for a school's approval without seeing the student.
    """
    replacement = await _load(session, actor, command.enrolment_id, lock=True)
    enrolment, side = replacement.enrolment, side_of(actor)
    if enrolment.status != "review" or any(each.side == side for each in replacement.answers):
        raise ReplacementClosed
    if side == "school" and command.approved and not command.seen_in_person:
        raise ReplacementNotSeen
    answer = FaceReplacementAnswer(
        id=new_id(),
        school_id=enrolment.school_id,
        student_id=enrolment.student_id,
        enrolment_id=enrolment.id,
        side=side,
        account_id=actor.account_id,
        org_path=actor.org_path,
        approved=command.approved,
        seen_in_person=command.seen_in_person,
        reasons=command.reasons,
        at=at,
    )
    session.add(answer)
    try:
        await session.flush()
    except IntegrityError as error:  # one account cannot give both answers
        raise ReplacementClosed from error
    after = {"approved": command.approved, "side": side, "enrolment": str(enrolment.id)}
    act = audit.Act(
        "FaceReplacementAnswered", "student", str(enrolment.student_id), actor.org_path, after=after
    )
    audit.record(session, act, at)
    answers = [*replacement.answers, answer]
    await _apply(session, enrolment, answers, at)
    return Replacement(enrolment, replacement.student, answers)


def side_of(actor: Actor) -> Side:
    """For whom a staff member answers."""
    return "superior" if actor.role in AUTHORITY_ROLES else "school"


async def _apply(
    session: AsyncSession, enrolment: FaceEnrolment, answers: Sequence[FaceReplacementAnswer], at: datetime
) -> None:
    path = await _school_path(session, enrolment.school_id)
    ids = {"school_id": enrolment.school_id, "student_id": enrolment.student_id, "enrolment_id": enrolment.id}
    if all(each.approved for each in answers) and len(answers) < len(("school", "superior")):
        if answers[0].side == "school":
            await outbox.emit(session, FaceReplacementSeen(path=path, **ids), at)
        return
    approved = all(each.approved for each in answers)
    enrolment.decided_at = at
    if approved:
        enrolment.status = "accepted"
        if not await activate_proposed_template(session, enrolment, at):
            raise ReplacementClosed
        await switch_to_face_route(session, enrolment.school_id, enrolment.student_id, at)
        await outbox.emit(session, FaceEnrolled(**ids), at)
    else:
        enrolment.status = "refused"
        enrolment.reasons = [*enrolment.reasons, reason_json(REPLACEMENT_REFUSED, None)]
        await refuse_proposed_template(session, enrolment, at)
        await outbox.emit(session, FaceEnrolmentRefused(**ids), at)
    await outbox.emit(session, FaceReplacementDecided(path=path, approved=approved, **ids), at)


async def _school_path(session: AsyncSession, school_id: UUID) -> str:
    path = await session.scalar(select(OrgUnit.path).where(OrgUnit.id == school_id))
    assert path is not None
    return path


async def load_replacements_page(
    session: AsyncSession, actor: Actor, state: ReplacementState, after: UUID | None, limit: int
) -> Sequence[Replacement]:
    """At most `limit` replacements in a state, newest first; a counselor sees those of their own classes."""
    page = (
        select(FaceEnrolment, Student)
        .join(Student, Student.id == FaceEnrolment.student_id)
        .where(FaceEnrolment.status == _STATUS[state], _is_replacement(), _visible_to(actor))
        .order_by(FaceEnrolment.id.desc())
        .limit(limit)
    )
    if after is not None:
        page = page.where(FaceEnrolment.id < after)
    rows = (await session.execute(page)).all()
    answers = await _load_answers(session, [row[0].id for row in rows])
    return [Replacement(row[0], row[1], answers.get(row[0].id, [])) for row in rows]


async def read_replacement_picture(
    app_context: AppContext, actor: Actor, enrolment_id: UUID, position: int, at: datetime
) -> OpenedPicture:
    """One of the new shots, after the look is recorded. Raises `NotFound` and `PictureGone`."""
    async with app_context.database.transaction(actor.scope) as session:
        enrolment = (await _load(session, actor, enrolment_id)).enrolment
        if position >= enrolment.shots:
            raise NotFound
        picture = EnrolmentRef(enrolment.id, enrolment.school_id, enrolment.student_id).shot(position)
        view = await record_picture_view(session, actor, picture, PicturePurpose.FACE_REPLACEMENT, at)
    if enrolment.shots_deleted_at is not None:
        raise PictureGone
    return await open_picture(app_context, view)


async def _load(
    session: AsyncSession, actor: Actor, enrolment_id: UUID, *, lock: bool = False
) -> Replacement:
    """A replacement that the actor may see; raises `NotFound`."""
    query = (
        select(FaceEnrolment, Student)
        .join(Student, Student.id == FaceEnrolment.student_id)
        .where(FaceEnrolment.id == enrolment_id, _is_replacement(), _visible_to(actor))
    )
    row = (await session.execute(query.with_for_update(of=FaceEnrolment) if lock else query)).one_or_none()
    if row is None:
        raise NotFound
    answers = await _load_answers(session, [enrolment_id])
    return Replacement(row[0], row[1], answers.get(enrolment_id, []))


def _is_replacement() -> ColumnElement[bool]:
    """In review, or decided by at least one answer."""
    answered = exists().where(FaceReplacementAnswer.enrolment_id == FaceEnrolment.id)
    proposed = exists().where(
        FaceTemplateRecord.enrolment_id == FaceEnrolment.id, FaceTemplateRecord.status == "proposed"
    )
    return answered | proposed


def _visible_to(actor: Actor) -> ColumnElement[bool]:
    """Limit counselors to their classes; row-level security limits the others."""
    if actor.role == "counselor":
        return Student.class_id.in_(classes_of_counselor(actor.counselor_id))
    return true()


async def _load_answers(
    session: AsyncSession, enrolment_ids: Sequence[UUID]
) -> dict[UUID, list[FaceReplacementAnswer]]:
    answers: dict[UUID, list[FaceReplacementAnswer]] = {}
    given = select(FaceReplacementAnswer).where(FaceReplacementAnswer.enrolment_id.in_(enrolment_ids))
    for row in await session.scalars(given.order_by(FaceReplacementAnswer.at, FaceReplacementAnswer.id)):
        answers.setdefault(row.enrolment_id, []).append(row)
    return answers
