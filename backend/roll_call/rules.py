"""The rules of a roll call, pure: facts in, decisions with their reasons out. No clock, no I/O."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from backend.org.paths import is_below

Kind = str
SPOT_CHECK: Kind = "spot_check"

ACTIVE_STANDINGS = ("01", "05")
"""National codes of standings that attend: 在读 and 复学. Every other one is on the roll but not in school."""


class Outcome(StrEnum):
    """The one result of an obligation."""

    PRESENT = "present"
    MISSED = "missed"
    EXCUSED = "excused"
    UNDETERMINED = "undetermined"


class Finding(StrEnum):
    """What verification says of one submission."""

    ACCEPTED = "accepted"
    STEP_UP = "step_up"
    REJECTED = "rejected"
    UNDETERMINED = "undetermined"


# --- who may launch (HN334-3.3, 3.4, 4.1a) ---


@dataclass(frozen=True, slots=True)
class TargetSchool:
    """A school of the audience: its path, and whether its superior is the province itself."""

    path: str
    parent_path: str
    parent_kind: str


def launch_objection(
    permissions: Sequence[Mapping[str, object]],
    kind: Kind,
    account: str,
    launcher_path: str,
    schools: Iterable[TargetSchool],
) -> str | None:
    """Why this account may not launch, or None. `permissions` is the policy table `launch.permissions`."""
    over = next(
        (str(row["over"]) for row in permissions if row["kind"] == kind and row["account"] == account), None
    )
    if over is None:
        return "kind"
    for school in schools:
        reaches = is_below(school.path, launcher_path)
        if over == "own_school":
            reaches = school.path == launcher_path
        elif over == "subordinate_school":
            reaches = reaches and school.parent_kind != "province"
        if not reaches:
            return "school"
    return None


# --- the window (HN334-3.4, readings 3 and 6) ---


@dataclass(frozen=True, slots=True)
class Window:
    """Times of a launch, all timezone-aware."""

    launched_at: datetime
    notify_at: datetime
    opens_at: datetime
    closes_at: datetime


def window_objection(window: Window, minimum: timedelta, maximum: timedelta) -> str | None:
    """Why the times do not make a fair window, or None."""
    if window.notify_at < window.launched_at:
        return "notify_in_past"
    if window.opens_at < window.notify_at:
        return "opens_before_notice"
    length = window.closes_at - window.opens_at
    if length < minimum:
        return "too_short"
    if length > maximum:
        return "too_long"
    return None


# --- when an envelope counts ---


class Timing(StrEnum):
    EARLY = "early"
    IN_TIME = "in_time"
    LATE = "late"


def timing(received_at: datetime, opens_at: datetime, closes_at: datetime) -> Timing:
    """By the server's clock only. The closing instant itself is in time; anything after it is late."""
    if received_at < opens_at:
        return Timing.EARLY
    return Timing.IN_TIME if received_at <= closes_at else Timing.LATE


def extended_close(
    closes_at: datetime, deadline: datetime, lost: timedelta, at: datetime, longest: timedelta
) -> datetime | None:
    """When a window closes that must make up for `lost` time, or None where nothing changes (reading 8).

    It closes at `closes_at` as launched and at `deadline` as things stand; `lost` is what the service was away for between
    its opening and the earlier of `deadline` and `at`. Everyone is owed as much time with the service there as the
    launch gave; what is still owed begins now, where the service was away at the close. Beyond `longest` after the
    launched close nothing is extended: whom that concerns is a matter for people (an outage declared, the check voided).
    """
    owed = closes_at - min(at, deadline) + lost
    until = at + owed
    if owed <= timedelta(0) or until <= deadline or until > closes_at + longest:
        return None
    return until


# --- one submission (HN334-3.4; THREATS 15, 21) ---


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the parts of verification found. None means that a part could not be judged.

    `fence`: inside, outside, uncertain. `face`: accept, step_up, reject, unusable. `liveness`: why the burst is no
    answer to its challenge, nothing if it is one. `likeness`: why a picture looks like one that was used before.
    `reused`: a frame is the very file that another submission carried. `in_cool_down`: the phone was re-bound a
    short while ago.
    """

    frames_complete: bool
    fence: str | None
    fence_reasons: tuple[str, ...]
    face: str | None
    face_reasons: tuple[str, ...]
    liveness: tuple[str, ...]
    likeness: tuple[str, ...]
    reused: bool
    in_cool_down: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A finding and the codes that explain it, most decisive first."""

    finding: Finding
    reasons: tuple[str, ...]


MISMATCH = "face_mismatch"
UNSURE = "face_unsure"
UNANSWERED = "challenge_unanswered"
SEEN_BEFORE = "picture_seen_before"


def judge(evidence: Evidence) -> Judgement:
    """Presence needs every part; a definite "no" of one part rejects; whatever cannot be judged is said so.

    A face is only ever rejected in a burst that nothing else speaks against; every doubt about the burst asks again.
    Nothing here makes a miss: a miss is what remains at the close (see `settle`).
    """
    no = _definite_no(evidence)
    if no is not None:
        return no
    if not evidence.frames_complete:
        return Judgement(Finding.UNDETERMINED, ("frames_missing",))
    if evidence.face is None or evidence.fence is None:
        missing = "verification_unavailable" if evidence.face is None else "site_not_filed"
        return Judgement(Finding.UNDETERMINED, (missing, *evidence.fence_reasons, *evidence.face_reasons))
    doubts = tuple(_doubts(evidence))
    return Judgement(Finding.STEP_UP, doubts) if doubts else Judgement(Finding.ACCEPTED, ("verified",))


def _definite_no(evidence: Evidence) -> Judgement | None:
    if evidence.reused:
        return Judgement(Finding.REJECTED, ("frame_reused",))
    if evidence.fence == "outside":
        return Judgement(Finding.REJECTED, ("outside_site", *evidence.fence_reasons))
    if evidence.frames_complete and evidence.face == "reject" and not evidence.liveness:
        return Judgement(Finding.REJECTED, (MISMATCH, *evidence.face_reasons))
    return None


def _doubts(evidence: Evidence) -> Iterable[str]:
    if evidence.face == "unusable":
        yield "face_unusable"
        yield from evidence.face_reasons
    if evidence.liveness:
        yield UNANSWERED
        yield from evidence.liveness
    if evidence.face in {"step_up", "reject"}:
        yield UNSURE
        yield from evidence.face_reasons
    if evidence.likeness:
        yield SEEN_BEFORE
        yield from evidence.likeness
    if evidence.fence == "uncertain":
        yield "location_uncertain"
        yield from evidence.fence_reasons
    if evidence.in_cool_down:
        yield "device_rebound_recently"


# --- how often the machine may try before a person does (THREATS 15) ---


@dataclass(frozen=True, slots=True)
class FaceTries:
    """Findings of one student in one roll call: faces that did not match, and answers in doubt."""

    mismatches: int
    doubts: int


def face_tries(reasons: Iterable[Iterable[str]]) -> FaceTries:
    """Counted over the reasons of each verdict. Poor pictures and a poor position are neither: they are only tried again."""
    findings = [set(each) for each in reasons]
    return FaceTries(
        mismatches=sum(MISMATCH in each for each in findings),
        doubts=sum(not {UNSURE, UNANSWERED, SEEN_BEFORE}.isdisjoint(each) for each in findings),
    )


# --- the close ---

HUMAN_PATH = frozenset({MISMATCH})
"""Rejections that only a person may turn into a miss: no score alone decides against anyone (PIPL art. 24)."""


NO_CHECK_IN = "no_check_in"
UNATTENDED = "non_face_route_unattended"
"""Was sent to the counselor in the window, by choice or by the machine, and nobody attested it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An in-time submission as the close finds it; `finding` is None while it is unjudged."""

    finding: Finding | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    outcome: Outcome
    reason: str


def told_in_time(
    announced_at: datetime | None, window: tuple[datetime, datetime], *, minimum: timedelta, grace: timedelta
) -> bool:
    """Whether the notice left everyone a fair window (readings 6 and 8): less than the minimum is nobody's miss.

    `window` is when it opens and closes. The dispatch may take as long as a burst's frames may, so that a
    window of exactly the minimum stays one.
    """
    if announced_at is None:
        return False
    opens_at, closes_at = window
    return closes_at - max(announced_at, opens_at) + grace >= minimum


def settle_silence(*, announced: bool) -> Settled:
    """What becomes of those who sent nothing: a miss, unless they were not told in time (reading 8)."""
    if announced:
        return Settled(Outcome.MISSED, NO_CHECK_IN)
    return Settled(Outcome.UNDETERMINED, "not_announced")


def settle(attempts: Sequence[Attempt], *, sent_to_a_person: bool = False) -> Settled:
    """What becomes of an owed obligation that has no outcome when the roll call is settled.

    Nothing submitted in time is a miss. Whatever was submitted in time and is not finally judged against the
    student is undetermined, which never means absent (invariants 2 and 5). Nor is anybody missed whom the machine
    sent to the counselor in the window, whatever it had found before (THREATS 15).
    """
    settled = _settled(attempts)
    if settled.outcome is Outcome.MISSED and sent_to_a_person:
        return Settled(Outcome.UNDETERMINED, UNATTENDED)
    return settled


def _settled(attempts: Sequence[Attempt]) -> Settled:
    if not attempts:
        return settle_silence(announced=True)
    if any(attempt.finding is Finding.ACCEPTED for attempt in attempts):
        return Settled(Outcome.PRESENT, "verified")
    for attempt in attempts:
        if attempt.finding is None:
            return Settled(Outcome.UNDETERMINED, "verification_pending")
        if attempt.finding is not Finding.REJECTED or HUMAN_PATH & set(attempt.reasons):
            return Settled(Outcome.UNDETERMINED, attempt.reasons[0])
    return Settled(Outcome.MISSED, attempts[-1].reasons[0])


# --- the non-face route ---


def attestation_quota(class_owed: int, share: float, minimum: int) -> int:
    """How many of a class a counselor may attest in one roll call."""
    return min(class_owed, max(minimum, math.floor(class_owed * share)))
