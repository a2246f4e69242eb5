"""The append-only ledger of standing, and the lock that follows from it (HN334-4.1c, 4.2, reading 11).

A reversal is an entry of its own. The status after it is that of a replay without the reversed entry, so later
approved changes stay while the reversed one leaves no mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from backend.standing.engine.facts import Status
from backend.standing.engine.trace import Trace


class Cause(StrEnum):
    """What wrote an entry."""

    DECISION = "decision"
    EXPIRY = "expiry"
    APPEAL = "appeal"
    REVERSAL = "reversal"
    EDIT = "edit"


SANCTIONS = frozenset({Cause.DECISION, Cause.EXPIRY})


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of status with the earlier state kept. `writes` is what it sets; None leaves a part as it was."""

    entry_id: str
    at: datetime
    cause: Cause
    caused_by: str
    outcome: str
    change_kind: str
    writes: tuple[str | None, str | None]
    before: Status
    after: Status
    prompt_id: str | None
    reverses: str | None
    trace: Trace


def apply_writes(status: Status, writes: tuple[str | None, str | None]) -> Status:
    standing, study_form = writes
    return Status(standing or status.standing, study_form or status.study_form)


def reversed_ids(ledger: Sequence[Entry]) -> frozenset[str]:
    return frozenset(entry.reverses for entry in ledger if entry.reverses is not None)


def replay(initial: Status, ledger: Sequence[Entry], without: frozenset[str] = frozenset()) -> Status:
    """The status that the entries make, leaving out those reversed and those named."""
    out = reversed_ids(ledger) | without
    status = initial
    for entry in ledger:
        if entry.entry_id not in out and entry.reverses is None:
            status = apply_writes(status, entry.writes)
    return status


def in_force(ledger: Sequence[Entry]) -> tuple[Entry, ...]:
    """The changes that a prompt caused and nothing has reversed."""
    out = reversed_ids(ledger)
    return tuple(entry for entry in ledger if entry.cause in SANCTIONS and entry.entry_id not in out)


@dataclass(frozen=True, slots=True)
class Lock:
    """Whether the record is locked, by which change, and the province's approvals that are not used up."""

    locked_by: str | None
    open_approvals: tuple[str, ...]
