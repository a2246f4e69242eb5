"""Reading the sign-in log (登录日志)."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.identity.sign_in.tables import SignInEvent
from backend.identity.tables import Account


@dataclass(frozen=True, slots=True)
class SignInSearch:
    """A filter on the entries by outcome and account."""

    outcome: str | None
    account_id: UUID | None


SignInRow = tuple[SignInEvent, str | None]
"""An entry and the login name of its account; None for a login name that does not exist."""


SignInSort = Literal["at", "-at"]
SIGN_IN_SORTS = ListSorts(SignInEvent.id, {"at": SignInEvent.id}, default="-at")
"""An id begins with the time."""


async def load_own_sign_ins(session: AsyncSession, actor: Actor, request: PageRequest) -> ListPage[SignInRow]:
    """A page of the entries of the own account."""
    search = SignInSearch(outcome=None, account_id=actor.account_id)
    return await _load_page(session, search, request)


async def load_sign_ins(
    session: AsyncSession, actor: Actor, search: SignInSearch, request: PageRequest
) -> ListPage[SignInRow]:
    """A page of the entries of the own unit and below; not for counselors."""
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="辅导员只能查看本人的登录日志", reason_en="a counselor reads only the own sign-in log"
        )
    return await _load_page(session, search, request)


async def _load_page(
    session: AsyncSession, search: SignInSearch, request: PageRequest
) -> ListPage[SignInRow]:
    query = select(SignInEvent, Account.login).outerjoin(Account, Account.id == SignInEvent.account_id)
    if search.outcome is not None:
        query = query.where(SignInEvent.outcome == search.outcome)
    if search.account_id is not None:
        query = query.where(SignInEvent.account_id == search.account_id)
    found = await load_page(session, query, SIGN_IN_SORTS, request)
    return found.with_rows([(event, login) for event, login in found.rows])
