"""Rules of a roll call as pure functions: facts in, decisions with reasons out. No clock, no I/O."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, get_args

from backend.org.paths import is_below
from backend.people.categories import STANDING_CODES

Kind = str
SPOT_CHECK: Kind = "spot_check"
REHEARSAL: Kind = "rehearsal"
RollCallKind = Literal["spot_check", "registration", "rehearsal", "school_own"]
KINDS: tuple[Kind, ...] = get_args(RollCallKind)
Phase = Literal["scheduled", "announced", "open", "closing", "settled", "voided"]
"""The phase of a roll call for staff."""
StudentPhase = Literal["announced", "open", "closed", "voided"]
"""The phase of a roll call for its students, who see it from its notice on."""
NextActor = Literal["student", "counselor", "staff", "system", "nobody"]
"""Who acts next for a student: the student, the counselor on the spot, staff who decide, the system, or no one."""
Duty = Literal["owed", "excused", "exempt"]
OutcomeMethod = Literal[
    "face", "look", "attested", "review", "determination", "settlement", "voiding", "appeal"
]
"""How an outcome was found."""
RefusalStep = Literal["challenge", "envelope", "verification", "look"]
"""The step of a check-in at which an attempt was refused."""
NotCountedReason = Literal[
    "reason_accepted",
    "on_leave",
    "outage",
    "vacation",
    "earlier_term",
    "voided",
    "relaunched",
    "overlapping_window",
    "outside_one_term",
    "appeal_upheld",
    "dismissed",
    "reversed",
    "answered",
    "evidence_incomplete",
    "never_counts",
    "excluded",
]
"""Why a miss does not count towards a prompt; the texts are in `backend.standing.student_view.counting`."""

ACTIVE_STANDINGS = ("01", "05")
"""National codes of the standings that attend school: 在读 and 复学. All others are on the roll but not in school."""

DUTY_REASONS = (
    "on_leave",
    "part_time",
    *(f"standing_{code}" for code in STANDING_CODES if code not in ACTIVE_STANDINGS),
)
"""Why a student of the audience is excused or exempt."""


class Outcome(StrEnum):
    """The result of one obligation."""

    PRESENT = "present"
    MISSED = "missed"
    EXCUSED = "excused"
    UNDETERMINED = "undetermined"


class VerdictDecision(StrEnum):
    """What verification decides about one submission. Stored in the column `verdict.finding`."""

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


def find_launch_objection(
    permissions: Sequence[Mapping[str, object]],
    kind: Kind,
    account: str,
    launcher_path: str,
    schools: Iterable[TargetSchool],
) -> str | None:
    """Return why this account may not launch, or None. `permissions` is the policy table `launch.permissions`."""
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
class WindowTimes:
    """Times of a launch, all timezone-aware."""

    launched_at: datetime
    notify_at: datetime
    opens_at: datetime
    closes_at: datetime


def find_window_objections(window: WindowTimes, minimum: timedelta, maximum: timedelta) -> tuple[str, ...]:
    """Return the rules that the window breaks, the first one first."""
    length = window.closes_at - window.opens_at
    broken = {
        "notify_in_past": window.notify_at < window.launched_at,
        "opens_before_notice": window.opens_at < window.notify_at,
        "too_short": length < minimum,
        "too_long": length > maximum,
    }
    return tuple(rule for rule, is_broken in broken.items() if is_broken)


# --- when an envelope counts ---


class Timing(StrEnum):
    """Where an instant lies relative to the window."""

    EARLY = "early"
    IN_TIME = "in_time"
    LATE = "late"


def classify_timing(received_at: datetime, opens_at: datetime, closes_at: datetime) -> Timing:
    """Compare with the window by the server's clock only. The closing instant is in time, anything after it is late."""
    if received_at < opens_at:
        return Timing.EARLY
    return Timing.IN_TIME if received_at <= closes_at else Timing.LATE


def compute_extended_close(
    closes_at: datetime, deadline: datetime, lost: timedelta, at: datetime, longest: timedelta
) -> datetime | None:
    """Return the new close of a window that lost time to an outage, or None if it does not change (reading 8).

    `closes_at` is the close as launched, `deadline` the current close. `lost` is the downtime between the opening and
    the earlier of `deadline` and `at`. Students get as much time with a working service as the launch gave them; the
    time still owed starts at `at`. A window is never extended beyond `longest` after the launched close: past that, a
    person decides (declares an outage, or voids the roll call).
    """
    owed = closes_at - min(at, deadline) + lost
    until = at + owed
    if owed <= timedelta(0) or until <= deadline or until > closes_at + longest:
        return None
    return until


# --- one submission (HN334-3.4; THREATS 15, 21) ---


@dataclass(frozen=True, slots=True)
class Evidence:
    """Results of the single checks. None means that a check could not be made.

    `fence`: inside, outside, uncertain. `face`: accept, step_up, reject, unusable, or unproven where no threshold was
    learned from enough people, so that no score can decide. `liveness`: why the burst does not
    answer its challenge, empty if it does. `presence`: why the camera may not have seen a living face.
    `likeness`: why a picture looks like one that was used before. `reused`: a
    frame has the same hash as a frame of another submission. `in_cool_down`: the student changed phones recently.
    `position_doubtful`: the signals of the position reach the score that asks for a second check. `look_barred`: why no
    person may compare the student's pictures, as a reason code.
    """

    frames_complete: bool
    fence: str | None
    fence_reasons: tuple[str, ...]
    face: str | None
    face_reasons: tuple[str, ...]
    liveness: tuple[str, ...]
    presence: tuple[str, ...]
    likeness: tuple[str, ...]
    reused: bool
    in_cool_down: bool
    position_doubtful: bool
    look_barred: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about one submission and the codes that explain it, most decisive first."""

    decision: VerdictDecision
    reasons: tuple[str, ...]


MISMATCH = "face_mismatch"
UNSURE = "face_unsure"
UNANSWERED = "challenge_unanswered"
SEEN_BEFORE = "picture_seen_before"
PRESENCE_DOUBTFUL = "presence_doubtful"
POSITION_DOUBTFUL = "location_doubtful"
NEEDS_LOOK = "face_needs_look"
"""Everything else passed, but the face can only be confirmed by a person."""
REHEARSED = "rehearsal_face_unproven"
"""As `NEEDS_LOOK`, in a rehearsal: its result has no consequence, so no person looks at the student's pictures."""
LOOK_BARRED = frozenset({"look_without_portrait", "look_without_consent"})
"""Everything else passed, and a person may not look at the pictures either: the counselor attests on the spot."""


def decide_verdict(evidence: Evidence) -> Verdict:
    """Accept if every check passed, reject if one definitely failed, otherwise ask again or leave undetermined.

    A face mismatch rejects only if the burst answers its challenge; any doubt about the burst asks for another try. A
    face that no score can confirm waits for a person, and only once everything else passed.
    A verdict is never a miss: misses are determined at the close (see `settle_obligation`).
    """
    rejection = _find_rejection(evidence)
    if rejection is not None:
        return rejection
    if not evidence.frames_complete:
        return Verdict(VerdictDecision.UNDETERMINED, ("frames_missing",))
    if evidence.face is None or evidence.fence is None:
        missing = "verification_unavailable" if evidence.face is None else "site_not_filed"
        return Verdict(
            VerdictDecision.UNDETERMINED, (missing, *evidence.fence_reasons, *evidence.face_reasons)
        )
    doubts = tuple(_list_doubts(evidence))
    if doubts:
        return Verdict(VerdictDecision.STEP_UP, doubts)
    if evidence.face == "unproven":
        reason = evidence.look_barred or NEEDS_LOOK
        return Verdict(VerdictDecision.UNDETERMINED, (reason, *evidence.face_reasons))
    return Verdict(VerdictDecision.ACCEPTED, ("verified",))


def _find_rejection(evidence: Evidence) -> Verdict | None:
    if evidence.reused:
        return Verdict(VerdictDecision.REJECTED, ("frame_reused",))
    if evidence.fence == "outside":
        return Verdict(VerdictDecision.REJECTED, ("outside_site", *evidence.fence_reasons))
    if evidence.frames_complete and evidence.face == "reject" and not evidence.liveness:
        return Verdict(VerdictDecision.REJECTED, (MISMATCH, *evidence.face_reasons))
    return None


def _list_doubts(evidence: Evidence) -> Iterable[str]:
    if evidence.face == "unusable":
        yield "face_unusable"
        yield from evidence.face_reasons
    if evidence.liveness:
        yield UNANSWERED
        yield from evidence.liveness
    if evidence.presence:
        yield PRESENCE_DOUBTFUL
        yield from evidence.presence
    if evidence.face in {"step_up", "reject"}:
        yield UNSURE
        yield from evidence.face_reasons
    if evidence.likeness:
        yield SEEN_BEFORE
        yield from evidence.likeness
    if evidence.fence == "uncertain":
        yield "location_uncertain"
        yield from evidence.fence_reasons
    if evidence.position_doubtful:
        yield POSITION_DOUBTFUL
    if evidence.in_cool_down:
        yield "device_rebound_recently"


# --- automatic attempts before a person decides (THREATS 15) ---

FACE_DOUBTS = frozenset({UNSURE, UNANSWERED, PRESENCE_DOUBTFUL, SEEN_BEFORE})


@dataclass(frozen=True, slots=True)
class FaceFailures:
    """Verdicts of one student in one roll call: faces that did not match, and answers in doubt."""

    mismatches: int
    doubts: int


def count_face_failures(reasons: Iterable[Iterable[str]]) -> FaceFailures:
    """Count over the reasons of each verdict. Poor pictures and an uncertain position do not count."""
    verdicts = [set(each) for each in reasons]
    return FaceFailures(
        mismatches=sum(MISMATCH in each for each in verdicts),
        doubts=sum(not FACE_DOUBTS.isdisjoint(each) for each in verdicts),
    )


# --- the close ---

HUMAN_REVIEW_REASONS = frozenset({MISMATCH})
"""Rejections that only a person may turn into a miss: a score alone never decides against a student (PIPL art. 24)."""


NO_CHECK_IN = "no_check_in"
UNATTENDED = "non_face_route_unattended"
"""The student was referred to the counselor during the window, and no attestation was recorded."""


@dataclass(frozen=True, slots=True)
class InTimeSubmission:
    """A submission received in time, as seen at the close; `finding` is None while it has no verdict."""

    finding: VerdictDecision | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettledOutcome:
    """The outcome of an obligation at the close, with its reason code."""

    outcome: Outcome
    reason: str


def was_notified_in_time(
    announced_at: datetime | None, window: tuple[datetime, datetime], *, minimum: timedelta, grace: timedelta
) -> bool:
    """Whether the notice left students at least the minimum window (readings 6 and 8). If not, silence is not a miss.

    `window` is (opens_at, closes_at). Sending the notice may take as long as the grace for frames, so that a window of
    exactly the minimum length stays valid.
    """
    if announced_at is None:
        return False
    opens_at, closes_at = window
    return closes_at - max(announced_at, opens_at) + grace >= minimum


def settle_without_submission(*, announced: bool) -> SettledOutcome:
    """Return the outcome of students who submitted nothing: a miss if the notice went out in time (reading 8)."""
    if announced:
        return SettledOutcome(Outcome.MISSED, NO_CHECK_IN)
    return SettledOutcome(Outcome.UNDETERMINED, "not_announced")


def settle_obligation(
    attempts: Sequence[InTimeSubmission], *, sent_to_a_person: bool = False
) -> SettledOutcome:
    """Return the outcome of an owed obligation that has none when the roll call is settled.

    No submission in time is a miss. A submission in time without a final negative verdict is undetermined, which
    never means absent (invariants 2 and 5). A student who was referred to the counselor during the window is never
    missed, whatever the earlier verdicts say (THREATS 15).
    """
    settled = _settle_submissions(attempts)
    if settled.outcome is Outcome.MISSED and sent_to_a_person:
        return SettledOutcome(Outcome.UNDETERMINED, UNATTENDED)
    return settled


def _settle_submissions(attempts: Sequence[InTimeSubmission]) -> SettledOutcome:
    if not attempts:
        return settle_without_submission(announced=True)
    if any(attempt.finding is VerdictDecision.ACCEPTED for attempt in attempts):
        return SettledOutcome(Outcome.PRESENT, "verified")
    for attempt in attempts:
        if attempt.finding is None:
            return SettledOutcome(Outcome.UNDETERMINED, "verification_pending")
        if attempt.finding is not VerdictDecision.REJECTED or HUMAN_REVIEW_REASONS & set(attempt.reasons):
            return SettledOutcome(Outcome.UNDETERMINED, attempt.reasons[0])
    return SettledOutcome(Outcome.MISSED, attempts[-1].reasons[0])


# --- the non-face route ---


def compute_attestation_quota(class_owed: int, share: float, minimum: int) -> int:
    """Return how many students of a class a counselor may attest in one roll call."""
    return min(class_owed, max(minimum, math.floor(class_owed * share)))
