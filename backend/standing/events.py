"""Events of standing: prompts, changes, warnings, claims and change requests."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import StudentEvent
from backend.standing.change_requests.policy import RequestState
from backend.standing.engine.prompts import PromptKind, PromptState


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRaised(StudentEvent):
    """A prompt was raised."""

    prompt_id: UUID
    kind: PromptKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMoved(StudentEvent):
    """A prompt changed its state."""

    prompt_id: UUID
    state: PromptState


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingChanged(StudentEvent):
    """An entry was added to the standing ledger."""

    entry_id: UUID
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AidReleased(StudentEvent):
    """A change withdraws unpaid aid from now on (HN334-4.1d)."""

    change_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentWarned(StudentEvent):
    """A warning was recorded."""

    warning_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDifferenceFound(StudentEvent):
    """Stored data differ from what the facts give."""

    difference_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRecordChanged(StudentEvent):
    """The record of this student in an earlier school was assessed again; its facts count on here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonClaimFiled(StudentEvent):
    """A claim of a justified reason was filed."""

    claim_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonClaimDecided(ReasonClaimFiled):
    """A claim of a justified reason was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequested(StudentEvent):
    """A change request was filed. `turn_org`: the unit that decides next, if any."""

    request_id: UUID
    turn_path: str
    turn_org: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequestDecided(ChangeRequested):
    """A unit gave its opinion on a change request, or it was withdrawn."""

    state: RequestState
