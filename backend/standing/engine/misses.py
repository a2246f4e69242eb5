"""Misses: which checks count, what excuses a check, and where misses reach a limit (HN334-4.1b).

Readings 1 (consecutive or cumulative), 2 (only checks launched by a superior), 3 (terms), 6 (leave), 8 (outages),
10 (justified reasons), 17 (vacations).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from backend.core.clock import legal_day
from backend.leave.rules import TICK, Exemption, find_exemption, find_longest_free_span
from backend.roll_call.rules import Outcome
from backend.standing.engine.facts import Outage, ReasonClaim, RollCallFact, StudentFacts, check_key
from backend.standing.policy import PolicyHistory, StandingPolicy


class CheckStatus(StrEnum):
    """How a check counts. Only a pass resets a run of misses; an excluded check neither counts nor resets."""

    PASSED = "passed"
    MISSED = "missed"
    EXCLUDED = "out"


@dataclass(frozen=True, slots=True)
class SequenceItem:
    """One check in the sequence of its term; `why` explains an excluded check."""

    check: RollCallFact
    term: str
    event_day: date
    status: CheckStatus
    why: str


ANSWERED, EARLIER_TERM = "answered", "earlier_term"
SETTLED = frozenset({ANSWERED, EARLIER_TERM})
"""Reasons that end the effect of a fact on later counts without contesting it: a sanction in force answers for it, or
its term was over when the student returned (reading 18)."""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Facts that later acts (a dismissal, a reversal, an appeal) excluded from counting.

    `reasons` maps the key of each excluded fact to the reason. `present` are the ids of checks that an upheld appeal
    turned into a pass.
    """

    reasons: Mapping[str, str]
    present: frozenset[str]


def event_day(check: RollCallFact) -> date:
    """The legal day on which the check closed: only then can it have been missed."""
    return legal_day(check.closes_at - TICK)


def latest_outcome(check: RollCallFact, as_of: datetime) -> Outcome | None:
    """The latest result known at the instant."""
    known = [result for result in check.results if result.at <= as_of]
    return max(known, key=lambda result: (result.at, result.outcome)).outcome if known else None


# --- the status of one check ---


def find_undetermined(facts: StudentFacts, exclusions: Exclusions, as_of: datetime) -> frozenset[str]:
    """The ids of closed checks of any kind that may still turn out to be a pass: no result, or an undetermined one.

    A check that was voided, relaunched or excluded by a later act is not among them (reading 16).
    """
    return frozenset(
        check.check_id
        for check in facts.checks
        if check.closes_at <= as_of
        and latest_outcome(check, as_of) in {None, Outcome.UNDETERMINED}
        and check.check_id not in exclusions.present
        and check_key(check.check_id) not in exclusions.reasons
        and _cancellation(check, facts, as_of) is None
    )


def check_status(
    check: RollCallFact, facts: StudentFacts, law: StandingPolicy, exclusions: Exclusions, as_of: datetime
) -> tuple[CheckStatus, str]:
    """The status of a closed check of any kind and launcher, and for an excluded check the reason."""
    if check.check_id in exclusions.present:
        return CheckStatus.PASSED, "appeal_upheld"
    excluded = exclusions.reasons.get(check_key(check.check_id)) or _cancellation(check, facts, as_of)
    outcome = latest_outcome(check, as_of)
    if excluded is None and outcome is Outcome.PRESENT:
        return CheckStatus.PASSED, ""
    if excluded is None and outcome is not Outcome.MISSED:
        excluded = outcome.value if outcome else "unsettled"
    excluded = excluded or _excuse(check, facts, law, as_of)
    return (CheckStatus.EXCLUDED, excluded) if excluded else (CheckStatus.MISSED, "")


def _cancellation(check: RollCallFact, facts: StudentFacts, as_of: datetime) -> str | None:
    if check.voided_at is not None and check.voided_at <= as_of:
        return "voided"
    relaunched = any(
        other.replaces == check.check_id and other.launched_at <= as_of for other in facts.checks
    )
    return "relaunched" if relaunched else None


def _excuse(check: RollCallFact, facts: StudentFacts, law: StandingPolicy, as_of: datetime) -> str | None:
    if any(_is_accepted(claim, check, law, as_of) for claim in facts.claims):
        return "reason_accepted"
    if find_exemption(facts.leaves, check.window, law.minimum_window, as_of) is Exemption.EXEMPT:
        return "on_leave"
    if _outage_excuses(check, facts.outages, law, as_of):
        return "outage"
    if _touches_vacation(check, facts):
        return "vacation"
    return None


def _touches_vacation(check: RollCallFact, facts: StudentFacts) -> bool:
    """Whether a day of the window lies in a vacation that was declared before the launch (reading 17).

    A vacation declared later does not excuse a miss: otherwise a school could erase misses. The launcher can void the check.
    """
    days = legal_day(check.opens_at), event_day(check)
    return any(term.touches_vacation(*days, check.launched_at) for term in facts.terms)


def _is_accepted(claim: ReasonClaim, check: RollCallFact, law: StandingPolicy, as_of: datetime) -> bool:
    decided = claim.decided_at is not None and claim.decided_at <= as_of
    return (
        decided
        and claim.accepted
        and claim.check_id == check.check_id
        and find_reason_objection(law, claim.reason, claim.text) is None
    )


def find_reason_objection(law: StandingPolicy, reason: str | None, text: str) -> str | None:
    """Why this is not a justified reason of the catalogue, or None if it is one (reading 10)."""
    if reason is None or reason not in law.reasons:
        return "reason_not_in_catalogue"
    if law.reasons[reason] and not text.strip():
        return "reason_needs_text"
    return None


def _outage_excuses(
    check: RollCallFact, outages: Sequence[Outage], law: StandingPolicy, as_of: datetime
) -> bool:
    """Whether approved outages left less than the minimum window (reading 8)."""
    spans = [
        (outage.starts_at, min(outage.end(as_of) or check.closes_at, check.closes_at))
        for outage in outages
        if outage.approved and outage.decided_at is not None and outage.decided_at <= as_of
    ]
    overlapping = [span for span in spans if span[0] < check.closes_at and check.opens_at < span[1]]
    window = (check.opens_at, check.closes_at)
    return bool(overlapping) and find_longest_free_span(window, overlapping) < law.minimum_window


# --- the sequence of all checks ---


def build_sequence(
    facts: StudentFacts, policies: PolicyHistory, exclusions: Exclusions, as_of: datetime
) -> tuple[SequenceItem, ...]:
    """Every closed check whose misses count, across all terms, in the order of closing."""
    sequence: list[SequenceItem] = []
    counted: list[RollCallFact] = []
    for check in sorted(facts.checks, key=lambda item: (item.launched_at, item.check_id)):
        if check.closes_at > as_of:
            continue
        law = policies.on(event_day(check))
        if check.kind not in law.counted_kinds or check.launcher not in law.counted_launchers:
            continue
        opened_on = legal_day(check.opens_at)
        term = next((term for term in facts.terms if term.covers(opened_on)), None)
        if term is None or not term.covers(event_day(check)):
            status, why = CheckStatus.EXCLUDED, "outside_one_term"
        elif any(_windows_overlap(check, earlier) for earlier in counted):
            status, why = CheckStatus.EXCLUDED, "overlapping_window"
        else:
            status, why = check_status(check, facts, law, exclusions, as_of)
            if why not in {"voided", "relaunched"}:
                counted.append(check)
        sequence.append(SequenceItem(check, term.code if term else "", event_day(check), status, why))
    return tuple(sorted(sequence, key=lambda item: (item.check.closes_at, item.check.check_id)))


def _windows_overlap(one: RollCallFact, other: RollCallFact) -> bool:
    return one.opens_at < other.closes_at and other.opens_at < one.closes_at


# --- limits ---


@dataclass(frozen=True, slots=True)
class ThresholdHit:
    """A miss that reached a limit, with the misses that count towards it."""

    term: str
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]
    event_day: date


def find_threshold_hits(
    sequence: Sequence[SequenceItem], policies: PolicyHistory
) -> tuple[ThresholdHit, ...]:
    """Every miss that reaches "consecutive" or "cumulative" in its term, by the law of its own day (reading 1)."""
    consecutive: dict[str, int] = {}
    missed: dict[str, list[str]] = {}
    hits: list[ThresholdHit] = []
    for item in sequence:
        if item.status is CheckStatus.PASSED:
            consecutive[item.term] = 0
        if item.status is not CheckStatus.MISSED:
            continue
        consecutive[item.term] = consecutive.get(item.term, 0) + 1
        misses = missed.setdefault(item.term, [])
        misses.append(check_key(item.check.check_id))
        law = policies.on(item.event_day)
        limits = {"consecutive": law.consecutive, "cumulative": law.cumulative}
        counts = {"consecutive": consecutive[item.term], "cumulative": len(misses)}
        grounds = tuple(ground for ground in limits if counts[ground] >= limits[ground])
        if grounds:
            needed = max(limits[ground] for ground in grounds)
            hits.append(ThresholdHit(item.term, grounds, tuple(misses[-needed:]), item.event_day))
    return tuple(hits)


@dataclass(frozen=True, slots=True)
class MissCounts:
    """The miss counts of one term at an instant."""

    term: str
    consecutive: int
    cumulative: int
    one_more_miss_prompts: bool
    """Whether no limit is reached yet and the next miss reaches one."""


def count_misses(
    sequence: Sequence[SequenceItem], term: str, policies: PolicyHistory, law: StandingPolicy
) -> MissCounts:
    """Count the misses of one term; `law` judges the next miss. A new term starts at zero (reading 3).

    If the law has become stricter since the last miss, the counts can already be at the new limit or above. Nothing
    follows from that before the next miss (reading 14), so the next miss is still the one that prompts.
    """
    statuses = [
        item.status for item in sequence if item.term == term and item.status is not CheckStatus.EXCLUDED
    ]
    reached = any(hit.term == term for hit in find_threshold_hits(sequence, policies))
    cumulative = statuses.count(CheckStatus.MISSED)
    consecutive = next(
        (number for number, status in enumerate(reversed(statuses)) if status is CheckStatus.PASSED),
        len(statuses),
    )
    left = min(law.consecutive - consecutive, law.cumulative - cumulative)
    return MissCounts(term, consecutive, cumulative, left <= 1 and not reached)
