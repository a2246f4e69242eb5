"""The counselors of one's school: for naming a stand-in, and for assigning classes."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.identity.tables import Account
from backend.people.tables import ClassCounselor, Counselor


@dataclass(frozen=True, slots=True)
class Colleague:
    """An active counselor of the school, with the number of their classes."""

    id: UUID
    name: str
    classes: int


ColleagueSort = Literal["name", "-name"]
COLLEAGUE_SORTS = ListSorts(Counselor.id, {"name": by_name(Counselor.name)}, default="name")


async def load_colleagues_page(
    session: AsyncSession, actor: Actor, text: str | None, request: PageRequest
) -> ListPage[Colleague]:
    """A page of the active counselors of the caller's school other than the caller. `text` is part of a name.

    Raises `NotPermitted` for staff of other units.
    """
    if actor.school_id is None:
        raise NotPermitted(
            reason_zh="仅本校人员可以查看同事名单", reason_en="only staff of the school see its counselors"
        )
    classes = (
        select(func.count())
        .where(ClassCounselor.counselor_id == Counselor.id, ClassCounselor.until.is_(None))
        .scalar_subquery()
    )
    page = (
        select(Counselor.id, Counselor.name, classes)
        .join(Account, Account.counselor_id == Counselor.id)
        .where(
            Counselor.school_id == actor.school_id,
            Account.kind == "counselor",
            Account.status == "active",
            Account.id != actor.account_id,
        )
    )
    if text is not None:
        page = page.where(Counselor.name.contains(text, autoescape=True))
    found = await load_page(session, page, COLLEAGUE_SORTS, request)
    return found.with_rows([Colleague(*row) for row in found.rows])
