"""Portraits in review: the registrar sees the picture and decides (HN334-3.1). Superiors may read.

A portrait is in review if there is no enrolled face to compare it with, if the score is between the thresholds, or if it is
nearly the picture of another student. The reasons say which.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.identity.events import PortraitJudged
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.face.portrait_judgement import replace_earlier
from backend.identity.face.reasons import reason_json
from backend.identity.face.review.errors import PortraitDecided
from backend.identity.pictures.errors import PictureGone
from backend.identity.pictures.opening import OpenedPicture, open_picture, record_picture_view
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.tables import Portrait
from backend.org.queries import is_of_schools, load_school_scope
from backend.people.tables import SchoolClass, Student
from biometrics.pictures.quality import Reason

READERS = frozenset({"province", "bureau", "registrar"})
"""Roles that see portraits."""
PortraitState = Literal["review", "accepted", "refused"]

REFUSED_BY_REGISTRAR = "portrait_refused_by_registrar"


@dataclass(frozen=True, slots=True)
class PortraitRow:
    """A portrait with its student."""

    portrait: Portrait
    student: Student
    class_name: str


@dataclass(frozen=True, slots=True)
class PortraitSearch:
    """A filter on portraits."""

    state: PortraitState
    school_id: UUID | None = None
    student_id: UUID | None = None
    unit_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""


@dataclass(frozen=True, slots=True)
class DecidePortrait:
    """The registrar's decision; the student reads the reasons of a refusal."""

    portrait_id: UUID
    accepted: bool
    reasons: str


PortraitSort = Literal["submitted_at", "-submitted_at", "name", "-name"]
PORTRAIT_SORTS = ListSorts(
    Portrait.id, {"submitted_at": Portrait.id, "name": by_name(Student.name)}, default="-submitted_at"
)
"""An id begins with the time."""


async def load_portraits_page(
    session: AsyncSession, actor: Actor, search: PortraitSearch, request: PageRequest
) -> ListPage[PortraitRow]:
    """A page of the portraits that match. Raises `NotFound` for a unit of others, `NotPermitted`."""
    _require_reader(actor)
    schools = await load_school_scope(session, actor, search.unit_id)
    page = (
        select(Portrait, Student, SchoolClass.name)
        .join(Student, Student.id == Portrait.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(Portrait.status == search.state, is_of_schools(Portrait.school_id, schools))
    )
    if search.school_id is not None:
        page = page.where(Portrait.school_id == search.school_id)
    if search.student_id is not None:
        page = page.where(Portrait.student_id == search.student_id)
    if search.matching is not None:
        page = page.where(search.matching)
    found = await load_page(session, page, PORTRAIT_SORTS, request)
    return found.with_rows([PortraitRow(*row) for row in found.rows])


def select_waiting_portrait_ids(actor: Actor) -> Select[UUID] | None:
    """The portraits that wait for a person; None for an account that sees none."""
    if actor.role not in READERS:
        return None
    return select(Portrait.id).where(Portrait.status == "review")


async def read_portrait(
    app_context: AppContext, actor: Actor, portrait_id: UUID, at: datetime
) -> OpenedPicture:
    """The picture, after the look is recorded. Raises `NotFound` and `PictureGone`."""
    _require_reader(actor)
    async with app_context.database.transaction(actor.scope) as session:
        portrait = await session.get(Portrait, portrait_id)
        if portrait is None or portrait.status == "pending":  # a worker has not checked it yet
            raise NotFound
        picture = PortraitRef.of(portrait).picture
        view = await record_picture_view(session, actor, picture, PicturePurpose.PORTRAIT_REVIEW, at)
    if portrait.picture_deleted_at is not None:
        raise PictureGone
    return await open_picture(app_context, view)


async def decide_portrait(
    session: AsyncSession, actor: Actor, command: DecidePortrait, at: datetime
) -> PortraitRow:
    """Accept or refuse a portrait in review, once. An accepted one replaces earlier ones.

    Raises `NotPermitted` for others than the registrar, `NotFound`, and `PortraitDecided` outside review.
    """
    if actor.role != "registrar":
        raise NotPermitted(reason_zh="证件照由学校管理员审核", reason_en="the registrar decides on portraits")
    query = (
        select(Portrait, Student, SchoolClass.name)
        .join(Student, Student.id == Portrait.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(Portrait.id == command.portrait_id)
        .with_for_update(of=Portrait)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    portrait: Portrait = row[0]
    if portrait.status != "review":
        raise PortraitDecided
    portrait.decided_at = at
    if command.accepted:
        portrait.status = "accepted"
        await replace_earlier(session, portrait)
    else:
        portrait.status = "refused"
        refusal = Reason(REFUSED_BY_REGISTRAR, command.reasons, command.reasons)
        portrait.reasons = [*portrait.reasons, reason_json(refusal, 0)]
    after = {"portrait": str(portrait.id), "accepted": command.accepted, "reasons": command.reasons}
    act = audit.Act("PortraitDecided", "student", str(portrait.student_id), actor.org_path, after=after)
    audit.record(session, act, at)
    event = PortraitJudged(
        school_id=portrait.school_id, student_id=portrait.student_id, status=portrait.status
    )
    await outbox.emit(session, event, at)
    return PortraitRow(portrait, row[1], row[2])


def _require_reader(actor: Actor) -> None:
    if actor.role not in READERS:
        raise NotPermitted(
            reason_zh="证件照由学校管理员及上级查阅",
            reason_en="only registrars and their superiors can see portraits",
        )
