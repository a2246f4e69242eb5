"""Events of rosters."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterImported(Event):
    """A roster was imported; the counts are those of its report."""

    school_id: UUID
    rows: int
    created: int
    updated: int
    unchanged: int
    flagged: int
    quarantined: int
    refused: int
    not_registered: int
    transferred: int
    phones_proposed: int
    not_in_file: int
    classes_created: int
    file_sha256: str
