"""Queries on staff accounts: the own one, a list of those of the own unit and below, and one of them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import DateTime, Select, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.identity.rules import Unit, may_manage, may_reset_authenticator
from backend.identity.sign_in.tables import SignInEvent
from backend.identity.tables import Account
from backend.org.tables import OrgUnit

STAFF_ONLY = text("account.kind <> 'student'")
"""The predicate of the index of staff, as a literal, so that the planner recognises it."""


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account with its unit, and what the reader may do about it."""

    account: Account
    unit: OrgUnit
    may_manage: bool
    may_reset: bool
    last_sign_in_at: datetime | None = None
    """The newest sign-in that the log still has; None for accounts of students."""


@dataclass(frozen=True, slots=True)
class AccountSearch:
    """A filter on accounts. `text` is part of a name or login of staff; with it, students are not searched."""

    kind: str | None = None
    status: str | None = None
    unit_id: UUID | None = None
    text: str | None = None
    staff_only: bool = False


async def load_own_account(session: AsyncSession, actor: Actor) -> tuple[Account, OrgUnit]:
    """The actor's own account and its unit."""
    account, unit, _ = (await session.execute(_with_units().where(Account.id == actor.account_id))).one()
    return account, unit


_LAST_SIGN_IN = (
    select(SignInEvent.at)
    .where(
        STAFF_ONLY,
        SignInEvent.account_id == Account.id,
        SignInEvent.outcome == "succeeded",
    )
    .order_by(SignInEvent.id.desc())
    .limit(1)
    .correlate(Account)
    .scalar_subquery()
)
_NEVER = literal(datetime(1970, 1, 1, tzinfo=UTC), DateTime(timezone=True))
AccountSort = Literal[
    "created_at", "-created_at", "name", "-name", "kind", "-kind", "last_sign_in_at", "-last_sign_in_at"
]
ACCOUNT_SORTS = ListSorts(
    Account.id,
    {
        "created_at": Account.id,
        "name": by_name(Account.display_name),
        "kind": Account.kind,
        "last_sign_in_at": func.coalesce(_LAST_SIGN_IN, _NEVER),
    },
    default="created_at",
)
"""An id begins with the time. Accounts that never signed in come first."""


async def load_account_page(
    session: AsyncSession, actor: Actor, search: AccountSearch, request: PageRequest
) -> ListPage[AccountView]:
    """A page of the accounts of the actor's unit and below; not for counselors.

    Only the order of creation includes the accounts of students, of which a province has a million.
    """
    if actor.role == "counselor":
        raise NotPermitted(reason_zh="辅导员不管理账号", reason_en="a counselor does not manage accounts")
    sort = (request.sort or ACCOUNT_SORTS.default).removeprefix("-")
    wanted = replace(search, staff_only=search.staff_only or sort != "created_at")
    found = await load_page(session, _filter(_with_units(), wanted), ACCOUNT_SORTS, request)
    return found.with_rows([_view_account(actor, *row) for row in found.rows])


async def load_account(session: AsyncSession, actor: Actor, account_id: UUID) -> AccountView:
    """An account of the actor's unit or below; not for counselors. Raises `NotFound`."""
    row = (await session.execute(_with_units().where(Account.id == account_id))).one_or_none()
    if row is None or actor.role == "counselor":
        raise NotFound
    return _view_account(actor, *row)


def _view_account(
    actor: Actor, account: Account, unit: OrgUnit, last_sign_in_at: datetime | None
) -> AccountView:
    """An account as the actor sees it."""
    at_unit = Unit(str(unit.id), unit.kind, str(unit.parent_id) if unit.parent_id else None)
    own = account.id == actor.account_id
    return AccountView(
        account,
        unit,
        may_manage=not own and may_manage(actor.role, str(actor.org_id), account.kind, at_unit),
        may_reset=may_reset_authenticator(
            actor.role, actor.org_path, account.kind, account.org_path, own=own
        ),
        last_sign_in_at=last_sign_in_at,
    )


def _with_units() -> Select[Account, OrgUnit, datetime | None]:
    return select(Account, OrgUnit, _LAST_SIGN_IN).join(OrgUnit, OrgUnit.id == Account.org_id)


def _filter(
    query: Select[Account, OrgUnit, datetime | None], search: AccountSearch
) -> Select[Account, OrgUnit, datetime | None]:
    if search.kind is not None:
        query = query.where(Account.kind == search.kind)
    if search.status is not None:
        query = query.where(Account.status == search.status)
    if search.unit_id is not None:
        query = query.where(Account.org_id == search.unit_id)
    if search.staff_only or search.text is not None:
        query = query.where(STAFF_ONLY)
    if search.text is not None:
        in_name = Account.display_name.contains(search.text, autoescape=True)
        query = query.where(or_(in_name, Account.login.contains(search.text.lower(), autoescape=True)))
    return query
