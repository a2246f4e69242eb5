"""Reading the sign-in log (登录日志)."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.identity.sign_in.tables import SignInEvent
from backend.identity.tables import Account


@dataclass(frozen=True, slots=True)
class SignInSearch:
    """A filter on the entries by outcome and account."""

    outcome: str | None
    account_id: UUID | None


SignInRow = tuple[SignInEvent, str | None]
"""An entry and the login name of its account; None for a login name that does not exist."""


async def load_own_sign_ins(
    session: AsyncSession, actor: Actor, before: UUID | None, limit: int
) -> list[SignInRow]:
    """At most `limit` entries of the own account before an id, newest first."""
    search = SignInSearch(outcome=None, account_id=actor.account_id)
    return await _load_page(session, search, before, limit)


async def load_sign_ins(
    session: AsyncSession, actor: Actor, search: SignInSearch, before: UUID | None, limit: int
) -> list[SignInRow]:
    """At most `limit` entries of the own unit and below before an id, newest first; not for counselors."""
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="辅导员只能查看本人的登录日志", reason_en="a counselor reads only the own sign-in log"
        )
    return await _load_page(session, search, before, limit)


async def _load_page(
    session: AsyncSession, search: SignInSearch, before: UUID | None, limit: int
) -> list[SignInRow]:
    query = (
        select(SignInEvent, Account.login)
        .outerjoin(Account, Account.id == SignInEvent.account_id)
        .order_by(SignInEvent.id.desc())
        .limit(limit)
    )
    if search.outcome is not None:
        query = query.where(SignInEvent.outcome == search.outcome)
    if search.account_id is not None:
        query = query.where(SignInEvent.account_id == search.account_id)
    if before is not None:
        query = query.where(SignInEvent.id < before)
    return [(event, login) for event, login in await session.execute(query)]
