"""The counselors of one's school, by name: for naming a stand-in."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.identity.tables import Account
from backend.people.tables import Counselor


@dataclass(frozen=True, slots=True)
class Colleague:
    """An active counselor of the school."""

    id: UUID
    name: str


async def load_colleagues_page(
    session: AsyncSession, actor: Actor, after: UUID | None, limit: int
) -> list[Colleague]:
    """At most `limit` active counselors of the caller's school other than the caller, after the id `after`.

    Raises `NotPermitted` for staff of other units.
    """
    if actor.school_id is None:
        raise NotPermitted(
            reason_zh="仅本校人员可以查看同事名单", reason_en="only staff of the school see its counselors"
        )
    page = (
        select(Counselor.id, Counselor.name)
        .join(Account, Account.counselor_id == Counselor.id)
        .where(
            Counselor.school_id == actor.school_id,
            Account.kind == "counselor",
            Account.status == "active",
            Account.id != actor.account_id,
        )
        .order_by(Counselor.id)
        .limit(limit)
    )
    if after is not None:
        page = page.where(Counselor.id > after)
    return [Colleague(*row) for row in await session.execute(page)]
