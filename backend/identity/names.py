"""Names next to the ids of a response: students, classes, units, counselors and accounts.

A schema has `student_name` next to `student_id`, and `decided_by_name` next to `decided_by`. An endpoint with `@with_names`
fills those that are still empty, with one query for each kind. A name that the caller must not see stays null.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.database import equals_any
from backend.core.web.requests import Caller
from backend.identity.tables import Account
from backend.org.tables import OrgUnit
from backend.people.tables import Counselor, SchoolClass, Student

Result = TypeVar("Result")
NameColumns = tuple[InstrumentedAttribute[UUID], InstrumentedAttribute[str]]

_STUDENT, _CLASS = (Student.id, Student.name), (SchoolClass.id, SchoolClass.name)
_UNIT, _COUNSELOR = (OrgUnit.id, OrgUnit.name), (Counselor.id, Counselor.name)
_ACCOUNT = (Account.id, Account.display_name)
NAMED: Mapping[str, NameColumns] = {
    "student_id": _STUDENT,
    "holder_student_id": _STUDENT,
    "class_id": _CLASS,
    "school_id": _UNIT,
    "launcher_id": _UNIT,
    "org_id": _UNIT,
    "deciding_unit_id": _UNIT,
    "counselor_id": _COUNSELOR,
    "stand_in_id": _COUNSELOR,
    "acted_by": _ACCOUNT,
    "approved_by": _ACCOUNT,
    "attested_by": _ACCOUNT,
    "decided_by": _ACCOUNT,
    "filed_by": _ACCOUNT,
    "granted_by": _ACCOUNT,
    "requested_by": _ACCOUNT,
    "reviewed_by": _ACCOUNT,
}
"""The fields that name a person or a unit, with the columns of their names."""


def name_field(field: str) -> str:
    """The field with the name that belongs to a field with an id: `student_name`, `decided_by_name`."""
    return field.removesuffix("_id") + "_name"


def with_names(endpoint: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Fill the empty name fields of the response of an endpoint, which has a parameter `caller`.

    The names are read in a transaction of their own, after that of the endpoint: a POST records its idempotency key once.
    """

    @wraps(endpoint)
    async def named(*args: Any, **values: Any) -> Result:
        result = await endpoint(*args, **values)
        places = list(_find_empty(result))
        if places:
            caller: Caller = values["caller"]
            async with caller.app_context.database.transaction(caller.actor.scope) as session:
                await _fill(session, places)
        return result

    named.fills_names = True  # type: ignore[attr-defined]  # read by tests/architecture/test_names.py
    return named


def _find_empty(value: object) -> Iterator[tuple[BaseModel, str]]:
    """Every model with an empty name field, and the field with the id."""
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            part = getattr(value, field)
            name = name_field(field)
            if field in NAMED and part is not None and getattr(value, name, "") is None:
                yield value, field
            elif isinstance(part, BaseModel | list):
                yield from _find_empty(part)
    elif isinstance(value, list):
        for each in value:
            yield from _find_empty(each)


async def _fill(session: AsyncSession, places: list[tuple[BaseModel, str]]) -> None:
    wanted: defaultdict[NameColumns, set[UUID]] = defaultdict(set)
    for model, field in places:
        wanted[NAMED[field]].add(getattr(model, field))
    names: dict[NameColumns, dict[UUID, str]] = {}
    for (key, name), ids in wanted.items():
        rows = await session.execute(select(key, name).where(equals_any(key, ids)))
        names[key, name] = {row[0]: row[1] for row in rows}
    for model, field in places:
        setattr(model, name_field(field), names[NAMED[field]].get(getattr(model, field)))
