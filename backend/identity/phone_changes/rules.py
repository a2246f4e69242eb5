"""Rules of phone changes: who decides, and what a proposal amounts to. Pure."""

from collections.abc import Collection
from enum import StrEnum

from backend.core.actor import Role


class PhoneChangeState(StrEnum):
    """The state of a proposed number."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    """By the student, on the bound phone."""
    APPROVED = "approved"
    """By a superior of the school."""
    REFUSED = "refused"
    """By the student or a superior."""
    WITHDRAWN = "withdrawn"
    """By the school."""
    REPLACED = "replaced"
    """By a later number."""


EFFECTIVE = frozenset({PhoneChangeState.CONFIRMED, PhoneChangeState.APPROVED})
"""States in which the number is on the roll."""

DECIDED_BY_ROLE: dict[Role, frozenset[PhoneChangeState]] = {
    "student": frozenset({PhoneChangeState.CONFIRMED, PhoneChangeState.REFUSED}),
    "bureau": frozenset({PhoneChangeState.APPROVED, PhoneChangeState.REFUSED}),
    "province": frozenset({PhoneChangeState.APPROVED, PhoneChangeState.REFUSED}),
    "registrar": frozenset({PhoneChangeState.WITHDRAWN}),
}
"""Which decisions each role may make. The school that proposes a number never approves it."""


class Proposal(StrEnum):
    """What a number in a roster amounts to."""

    NEW = "new"
    OPEN = "open"
    """The number was proposed already."""
    REFUSED = "refused"
    """The number was refused before. A roster does not propose it again; a registrar can, with reasons."""


def judge_number(number: str, open_number: str | None, refused_numbers: Collection[str]) -> Proposal:
    """What to do with a roster's number that differs from the number on the roll."""
    if number == open_number:
        return Proposal.OPEN
    return Proposal.REFUSED if number in refused_numbers else Proposal.NEW
