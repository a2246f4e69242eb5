"""Queries of phone changes: pages for staff, and the student's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.pagination import MAX_PAGE
from backend.identity.phone_changes.rules import PhoneChangeState
from backend.identity.tables import PhoneChange
from backend.people.tables import SchoolClass, Student


@dataclass(frozen=True, slots=True)
class PhoneChangeView:
    """A phone change with the student's name and class."""

    change: PhoneChange
    student_name: str
    class_name: str


@dataclass(frozen=True, slots=True)
class PhoneChangeSearch:
    """Filters of the list; None means no filter."""

    state: PhoneChangeState | None = None
    school_id: UUID | None = None


async def load_phone_changes_page(
    session: AsyncSession, actor: Actor, search: PhoneChangeSearch, before: UUID | None, limit: int
) -> Sequence[PhoneChangeView]:
    """At most `limit` changes of the tenant scope, newest first, older than the id `before`."""
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="联系电话变更由学校学籍管理员和上级教育部门办理",
            reason_en="only registrars and authorities handle phone changes",
        )
    page = _select_views().order_by(PhoneChange.id.desc()).limit(limit)
    if search.state is not None:
        page = page.where(PhoneChange.state == search.state)
    if search.school_id is not None:
        page = page.where(PhoneChange.school_id == search.school_id)
    if before is not None:
        page = page.where(PhoneChange.id < before)
    return [PhoneChangeView(*row) for row in await session.execute(page)]


async def load_phone_change(session: AsyncSession, change_id: UUID) -> PhoneChangeView:
    """One change of the tenant scope; raises `NotFound`."""
    row = (await session.execute(_select_views().where(PhoneChange.id == change_id))).one_or_none()
    if row is None:
        raise NotFound
    return PhoneChangeView(*row)


async def load_own_phone_changes(session: AsyncSession, actor: Actor) -> Sequence[PhoneChange]:
    """The acting student's phone changes, newest first."""
    query = (
        select(PhoneChange)
        .where(PhoneChange.student_id == actor.student_id)
        .order_by(PhoneChange.id.desc())
        .limit(MAX_PAGE)
    )
    return (await session.scalars(query)).all()


def _select_views() -> Select[PhoneChange, str, str]:
    return (
        select(PhoneChange, Student.name, SchoolClass.name)
        .join(Student, Student.id == PhoneChange.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
    )
