"""Events of aid: an application decided, aid withdrawn, aid reinstated."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import StudentEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class AidDecided(StudentEvent):
    """An application for aid was decided."""

    application_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AidWithdrawn(StudentEvent):
    """Unpaid aid was withdrawn and a filing was created."""

    filing_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AidReinstated(AidWithdrawn):
    """Withdrawn aid was reinstated and a filing was created."""
