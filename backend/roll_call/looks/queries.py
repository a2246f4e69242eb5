"""Which requests are open, who may answer them, and their numbers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.identity.consents import LOOK_CONSENTS, has_granted
from backend.people.tables import SchoolClass, Student
from backend.roll_call.access import acts_for_launcher, select_counselor_classes
from backend.roll_call.errors import RollCallIsVoided
from backend.roll_call.looks.conditions import is_unanswered, same_request
from backend.roll_call.looks.errors import LookAnswered, LookEnded, LookTakenBySame
from backend.roll_call.looks.rules import LOOK_METHOD, Side
from backend.roll_call.outcomes import select_current_outcomes
from backend.roll_call.rules import NO_CHECK_IN, Outcome
from backend.roll_call.tables import (
    Attestation,
    LookAnswer,
    LookClosing,
    LookRequest,
    OutcomeEntry,
    RollCall,
    RollCallStep,
)


@dataclass(frozen=True, slots=True)
class OpenLook:
    """An open request with what the answering person needs to know."""

    request: LookRequest
    roll_call: RollCall
    student: Student
    class_name: str


@dataclass(frozen=True, slots=True)
class LookFilter:
    """Which requests to list; None does not filter."""

    roll_call_id: UUID | None = None
    class_id: UUID | None = None
    student_id: UUID | None = None


LookSort = Literal["expires_at", "-expires_at", "name", "-name"]
LOOK_SORTS = ListSorts(
    LookRequest.id,
    {"expires_at": LookRequest.expires_at, "name": by_name(Student.name)},
    default="expires_at",
)


async def load_looks_page(
    session: AsyncSession,
    actor: Actor,
    wanted: LookFilter,
    at: datetime,
    request: PageRequest,
) -> ListPage[OpenLook]:
    """A page of the open requests that the caller may answer."""
    page = _select_looks().where(is_open(at), _is_addressed_to(actor), ~_took_part(actor))
    if wanted.roll_call_id is not None:
        page = page.where(LookRequest.roll_call_id == wanted.roll_call_id)
    if wanted.class_id is not None:
        page = page.where(LookRequest.class_id == wanted.class_id)
    if wanted.student_id is not None:
        page = page.where(LookRequest.student_id == wanted.student_id)
    found = await load_page(session, page, LOOK_SORTS, request)
    return found.with_rows([OpenLook(*row) for row in found.rows])


async def load_look(session: AsyncSession, actor: Actor, look_id: UUID, at: datetime) -> OpenLook:
    """One open request that the caller may answer. Raises `NotFound`, or the error that an answer would get."""
    request, _ = await access_look(session, actor, look_id)
    await require_open(session, actor, request, at)
    row = (await session.execute(_select_looks().where(LookRequest.id == look_id))).one_or_none()
    if row is None:
        raise NotFound
    return OpenLook(*row)


def _select_looks() -> Select[LookRequest, RollCall, Student, str]:
    return (
        select(LookRequest, RollCall, Student, SchoolClass.name)
        .join(RollCall, RollCall.id == LookRequest.roll_call_id)
        .join(Student, Student.id == LookRequest.student_id)
        .join(SchoolClass, SchoolClass.id == LookRequest.class_id)
    )


def select_open_look_ids(actor: Actor, at: datetime) -> Select[UUID]:
    """The open requests that the caller may answer."""
    joined = select(LookRequest.id).join(RollCall, RollCall.id == LookRequest.roll_call_id)
    return joined.where(is_open(at), _is_addressed_to(actor), ~_took_part(actor))


def is_open(at: datetime) -> ColumnElement[bool]:
    """Condition for `look_request` rows that may be answered now."""
    return and_(LookRequest.expires_at > at, is_unanswered(), is_needed(), is_consented())


def is_consented() -> ColumnElement[bool]:
    """Whether the student agrees that a person sees pictures."""
    return has_granted(LookRequest.student_id.expression, *LOOK_CONSENTS)


def is_needed() -> ColumnElement[bool]:
    """Whether an answer can still change the result: not voided, undetermined, or present by the look under review."""
    voided = exists().where(
        RollCallStep.roll_call_id == LookRequest.roll_call_id, RollCallStep.step == "voided"
    )
    supersedable = or_(
        OutcomeEntry.outcome == Outcome.UNDETERMINED.value,
        and_(OutcomeEntry.outcome == Outcome.MISSED.value, OutcomeEntry.reason == NO_CHECK_IN),
    )
    has_result = _has_current_outcome(not_(supersedable))
    by_look = _has_current_outcome(
        OutcomeEntry.outcome == Outcome.PRESENT.value, OutcomeEntry.method == LOOK_METHOD
    )
    is_review = LookRequest.reviews.is_not(None)
    return and_(~voided, or_(and_(~is_review, ~has_result), and_(is_review, by_look)))


def _has_current_outcome(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        select_current_outcomes()
        .where(
            OutcomeEntry.term_code == LookRequest.term_code,
            OutcomeEntry.school_id == LookRequest.school_id,
            OutcomeEntry.roll_call_id == LookRequest.roll_call_id,
            OutcomeEntry.student_id == LookRequest.student_id,
            *conditions,
        )
        .exists()
    )


def _is_addressed_to(actor: Actor) -> ColumnElement[bool]:
    """The school's side: its registrar, and the counselor of the class. The launching side: as for determinations."""
    by_school: ColumnElement[bool] = false()
    if actor.school_id is not None:
        by_school = and_(LookRequest.side == Side.SCHOOL.value, LookRequest.school_id == actor.school_id)
    own_classes = select_counselor_classes(actor)
    if own_classes is not None:
        return and_(by_school, LookRequest.class_id.in_(own_classes))
    launched = func.starts_with(RollCall.launcher_path + ".", actor.org_path + ".")
    return or_(by_school, and_(LookRequest.side == Side.LAUNCHER.value, launched))


def _took_part(actor: Actor) -> ColumnElement[bool]:
    """Whether the caller attested this student in this roll call, or answered for the student before."""
    tables = ((Attestation, Attestation.attested_by), (LookAnswer, LookAnswer.answered_by))
    return or_(
        *(
            exists().where(
                table.term_code == LookRequest.term_code,
                table.school_id == LookRequest.school_id,
                table.roll_call_id == LookRequest.roll_call_id,
                table.student_id == LookRequest.student_id,
                column == actor.account_id,
            )
            for table, column in tables
        )
    )


async def access_look(session: AsyncSession, actor: Actor, request_id: UUID) -> tuple[LookRequest, RollCall]:
    """Load a request that is addressed to the caller. Raises `NotFound`."""
    request = await session.get(LookRequest, request_id)
    roll_call = await session.get(RollCall, request.roll_call_id) if request else None
    if request is None or roll_call is None:
        raise NotFound
    if request.side == Side.LAUNCHER:
        addressed = acts_for_launcher(roll_call, actor)
    else:
        own_classes = select_counselor_classes(actor)
        addressed = actor.school_id == request.school_id and (
            own_classes is None or request.class_id in set(await session.scalars(own_classes))
        )
    if not addressed:
        raise NotFound
    return request, roll_call


async def require_open(session: AsyncSession, actor: Actor, request: LookRequest, at: datetime) -> None:
    """Raise unless the caller may look at the pictures of this request and answer it now."""
    row = await session.execute(
        select(is_open(at), _took_part(actor)).where(
            LookRequest.term_code == request.term_code,
            LookRequest.school_id == request.school_id,
            LookRequest.id == request.id,
        )
    )
    still_open, took_part = row.one()
    if not still_open:
        if await session.get(LookAnswer, request.id) is not None:
            raise LookAnswered
        if await session.get(RollCallStep, (request.roll_call_id, "voided")) is not None:
            raise RollCallIsVoided
        raise LookEnded
    if took_part:
        raise LookTakenBySame


@dataclass(frozen=True, slots=True)
class LookCounts:
    """The looks of a roll call, without reviews: `closed` ended without an answer for another reason than time."""

    open: int
    same: int
    not_same: int
    unsure: int
    expired: int
    closed: int


async def count_looks(session: AsyncSession, actor: Actor, roll_call: RollCall) -> LookCounts:
    """The numbers of a roll call within the caller's scope; a counselor's are those of the own classes."""
    counts = (
        select(
            func.count().filter(LookAnswer.same.is_(None), LookClosing.reason.is_(None)).label("open"),
            func.count().filter(LookAnswer.same == "yes").label("same"),
            func.count().filter(LookAnswer.same == "no").label("not_same"),
            func.count().filter(LookAnswer.same == "unsure").label("unsure"),
            func.count().filter(LookClosing.reason == "expired").label("expired"),
            func.count().filter(LookClosing.reason != "expired").label("closed"),
        )
        .select_from(LookRequest)
        .outerjoin(LookAnswer, same_request(LookAnswer))
        .outerjoin(LookClosing, same_request(LookClosing))
        .where(
            LookRequest.term_code == roll_call.term_code,
            LookRequest.roll_call_id == roll_call.id,
            LookRequest.reviews.is_(None),
        )
    )
    own_classes = select_counselor_classes(actor)
    if own_classes is not None:
        counts = counts.where(LookRequest.class_id.in_(own_classes))
    row = (await session.execute(counts)).mappings().one()
    return LookCounts(**row)
