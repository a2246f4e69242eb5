"""Rows and things of the rooms that have modules of their own, so that the matrix stays readable.

A room lists its rows in STAFF and MOBILE, and makes what they act on in `things`: ids by name, for one school.
"""

from typing import Any, Protocol

from backend.core.actor import Actor
from tests.support.province import School
from tests.tenancy.cases import (
    aid,
    appeals,
    changes,
    claims,
    explanations,
    files,
    prompts,
    retention,
    verification,
)
from tests.tenancy.rows import Row


class Room(Protocol):
    """What a module here offers."""

    STAFF: tuple[Row, ...]
    MOBILE: tuple[Row, ...]

    async def things(
        self, assembly: Any, school: School, superior: Actor, made: dict[str, Any]
    ) -> dict[str, Any]:
        """One of everything of the room in a school."""
        ...


ROOMS: tuple[Room, ...] = (
    prompts,
    claims,
    changes,
    aid,
    appeals,
    files,
    explanations,
    retention,
    verification,
)
