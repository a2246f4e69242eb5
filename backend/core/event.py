"""The base of events: frozen dataclasses in the past tense that carry identifiers only.

Each package declares its events in `events.py`; `backend/events.py` says which consumers each event has.
"""

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. The class name is the name of the event in the outbox."""

    def payload(self) -> dict[str, Any]:
        """The fields as JSON-compatible values."""
        payload: dict[str, Any] = _adapter(type(self)).dump_python(self, mode="json")
        return payload

    @classmethod
    def parse(cls, payload: dict[str, Any]) -> Self:
        """Rebuild an event from its payload; raises `pydantic.ValidationError`."""
        event: Self = _adapter(cls).validate_python(payload)
        return event


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentEvent(Event):
    """An event about one student. `path` is the school's ltree path."""

    school_id: UUID
    student_id: UUID
    path: str


_ADAPTERS: dict[type[Event], TypeAdapter[Any]] = {}


def _adapter(event: type[Event]) -> TypeAdapter[Any]:
    if event not in _ADAPTERS:
        _ADAPTERS[event] = TypeAdapter(event)
    return _ADAPTERS[event]
