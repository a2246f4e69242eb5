"""Events of appeals."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import StudentEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealEvent(StudentEvent):
    """An event about one appeal. `unit_path` is the ltree path of the deciding unit."""

    appeal_id: UUID
    unit_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealFiled(AppealEvent):
    """An appeal was filed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealWithdrawn(AppealEvent):
    """An appeal was withdrawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealDecided(AppealEvent):
    """An appeal was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealMessagePosted(AppealEvent):
    """A side posted a message; `side` is `appellant` or `respondent`."""

    side: str
