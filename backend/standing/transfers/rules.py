"""Rules of quarantined enrolments: their states, and who decides. Pure."""

from enum import StrEnum

from backend.core.actor import Actor
from backend.org.paths import is_below


class QuarantineState(StrEnum):
    """The state of a quarantined row."""

    OPEN = "open"
    TRANSFERRED = "transferred"
    """The student moved to the school that imported the row."""
    DIFFERENT_PERSON = "different_person"
    """Two persons: the ID number of one of them is wrong."""
    ERROR = "error"
    """The row should not have been in the roster."""
    WITHDRAWN = "withdrawn"
    """Taken back by the school that imported it."""
    RELEASED = "released"
    """The other school's record ended, and a later import enrolled the person."""


BY_SUPERIOR = frozenset(
    {QuarantineState.TRANSFERRED, QuarantineState.DIFFERENT_PERSON, QuarantineState.ERROR}
)


def is_over_both(actor: Actor, school_path: str, holder_path: str) -> bool:
    """Whether the actor's unit is above both schools."""
    above = (path != actor.org_path and is_below(path, actor.org_path) for path in (school_path, holder_path))
    return actor.role in {"province", "bureau"} and all(above)
