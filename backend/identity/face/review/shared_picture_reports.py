"""Reports of pictures that were sent for two students: recorded in each school, with a notice to its registrars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.identity.events import SharedPictureFound
from backend.identity.face.review import texts
from backend.identity.recipients import registrars
from backend.identity.tables import SharedPicture
from backend.notice.messages import IN_APP, Message
from backend.notice.service import post_notices
from backend.org.tables import OrgUnit
from backend.people.tables import Student


async def report_shared_picture(session: AsyncSession, event: SharedPictureFound, at: datetime) -> None:
    """Record the finding in the event's school, and notify its registrars. No name is in the notice."""
    row_id = new_id()
    row = {
        "id": row_id,
        "school_id": event.school_id,
        "student_id": event.student_id,
        "other_school_id": event.other_school_id,
        "other_student_id": event.other_student_id,
        "source": event.source,
        "source_id": event.source_id,
        "kind": event.kind,
        "sent_by_other": event.sent_by_other,
        "at": at,
    }
    await session.execute(insert(SharedPicture).values(row))
    same_school = event.other_school_id == event.school_id
    by_a_person = event.kind == "same_person"
    text = (texts.same_person_to_staff if by_a_person else texts.shared_picture_to_staff)(
        same_school=same_school
    )
    message = Message.of("shared_picture", row_id, text, {"shared_picture_id": row_id})
    await post_notices(session, registrars(event.school_id), message, IN_APP, at)


@dataclass(frozen=True, slots=True)
class SharedPictureRow:
    """A finding with both students. The other one's name is None for a school that may not see it."""

    finding: SharedPicture
    school_name: str
    student_name: str
    other_name: str | None
    other_school_name: str | None


async def load_shared_pictures_page(
    session: AsyncSession, actor: Actor, school_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[SharedPictureRow]:
    """At most `limit` findings, newest first. Row-level security hides the students of other schools."""
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="由学校管理员及上级查阅", reason_en="only registrars and their superiors can read this"
        )
    other, own_school, other_school = aliased(Student), aliased(OrgUnit), aliased(OrgUnit)
    page = (
        select(SharedPicture, own_school.name, Student.name, other.name, other_school.name)
        .join(own_school, own_school.id == SharedPicture.school_id)
        .join(Student, Student.id == SharedPicture.student_id)
        .outerjoin(other, other.id == SharedPicture.other_student_id)
        .outerjoin(other_school, other_school.id == other.school_id)
        .order_by(SharedPicture.id.desc())
        .limit(limit)
    )
    if school_id is not None:
        page = page.where(SharedPicture.school_id == school_id)
    if after is not None:
        page = page.where(SharedPicture.id < after)
    return [SharedPictureRow(*row) for row in await session.execute(page)]
