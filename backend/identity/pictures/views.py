"""Who looked at a student's pictures: for the student, and for the school and its superiors."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ltree import Ltree
from backend.identity.pictures.tables import PictureView
from backend.identity.tables import Account
from backend.org.tables import OrgUnit
from backend.people.tables import Student


@dataclass(frozen=True, slots=True)
class ViewRow:
    """A look with the name of the unit, and with the name of the person where the reader may know it."""

    view: PictureView
    unit_name: str
    person: str | None = None


async def load_own_picture_views(
    session: AsyncSession, actor: Actor, before: UUID | None, limit: int
) -> Sequence[ViewRow]:
    """At most `limit` looks at the acting student's pictures before an id, newest first; without names of persons."""
    page = (
        select(PictureView, OrgUnit.name)
        .join(OrgUnit, OrgUnit.path == cast(PictureView.org_path, Ltree()))
        .where(PictureView.student_id == actor.student_id)
        .order_by(PictureView.id.desc())
        .limit(limit)
    )
    if before is not None:
        page = page.where(PictureView.id < before)
    return [ViewRow(view, unit) for view, unit in await session.execute(page)]


async def load_picture_views(
    session: AsyncSession, actor: Actor, student_id: UUID, before: UUID | None, limit: int
) -> Sequence[ViewRow]:
    """At most `limit` looks at a student's pictures before an id, newest first.

    Raises `NotPermitted` for counselors and `NotFound` for a student of another school. The name of an account of a
    superior unit, whose row the reader may not see, is None.
    """
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="照片查看记录由学校管理员及上级查阅",
            reason_en="only registrars and their superiors can read who looked at pictures",
        )
    if await session.get(Student, student_id) is None:
        raise NotFound
    page = (
        select(PictureView, OrgUnit.name, Account.display_name)
        .join(OrgUnit, OrgUnit.path == cast(PictureView.org_path, Ltree()))
        .outerjoin(Account, Account.id == PictureView.account_id)
        .where(PictureView.student_id == student_id)
        .order_by(PictureView.id.desc())
        .limit(limit)
    )
    if before is not None:
        page = page.where(PictureView.id < before)
    return [ViewRow(*row) for row in await session.execute(page)]
