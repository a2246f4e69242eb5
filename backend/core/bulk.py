"""Bulk acts: one request, one result a row. A row that fails changes nothing and does not stop the others."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of one row. `changed` is False if what was asked for is the case already; `error` if it was refused."""

    id: UUID
    changed: bool = True
    error: DomainError | None = None


async def act_on_each(
    session: AsyncSession, ids: Iterable[UUID], act: Callable[[UUID], Awaitable[bool]]
) -> dict[UUID, RowResult]:
    """Call `act` for each id in a savepoint of its own. It returns whether it changed anything, or raises a `DomainError`.

    The caller passes the ids in an order in which all transactions lock them, so that none waits for another in a circle.
    """
    results = {}
    for each in ids:
        try:
            async with session.begin_nested():
                results[each] = RowResult(each, changed=await act(each))
        except DomainError as error:
            results[each] = RowResult(each, changed=False, error=error)
    return results
