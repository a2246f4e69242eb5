"""The sequence of a term's counted checks and where it reaches a threshold (HN334-4.1b, readings 1, 2, 3, 6, 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from backend.core.clock import legal_day
from backend.leave.rules import TICK, Exemption, SchoolTerm, exempts, longest_free
from backend.roll_call.rules import Outcome
from backend.standing.engine.facts import Outage, ReasonClaim, RollCallFact, StudentFacts
from backend.standing.policy import PolicyHistory, StandingPolicy


class CheckStatus(StrEnum):
    """What one check is in the sequence. Only a pass resets; what is out neither counts nor resets."""

    PASSED = "passed"
    MISSED = "missed"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class SequenceItem:
    """One check in its term's sequence; `why` explains a check that is out."""

    check: RollCallFact
    term: str
    event_day: date
    place: CheckStatus
    why: str


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What later acts took out of the record: `out` maps a fact ("check:…", "leave:…") to why.

    `present` are checks that an upheld appeal turned into a pass.
    """

    out: Mapping[str, str]
    present: frozenset[str]


NO_EXCLUSIONS = Exclusions({}, frozenset())


def check_key(check_id: str) -> str:
    return f"check:{check_id}"


def event_day(check: RollCallFact) -> date:
    """The day of a check's event is that of its close, since only then can it have been missed."""
    return legal_day(check.closes_at - TICK)


def result_at(check: RollCallFact, as_of: datetime) -> Outcome | None:
    """The latest result known at the instant."""
    known = [result for result in check.results if result.at <= as_of]
    return max(known, key=lambda result: (result.at, result.outcome)).outcome if known else None


def check_status(
    check: RollCallFact, facts: StudentFacts, law: StandingPolicy, strikes: Exclusions, as_of: datetime
) -> tuple[CheckStatus, str]:
    """What a settled check says at the instant, whatever its kind and launcher; why, if it says nothing."""
    if check.check_id in strikes.present:
        return CheckStatus.PASSED, "appeal_upheld"
    removed = strikes.out.get(check_key(check.check_id)) or _annulled(check, facts, as_of)
    found = result_at(check, as_of)
    if removed is None and found is Outcome.PRESENT:
        return CheckStatus.PASSED, ""
    if removed is None and found is not Outcome.MISSED:
        removed = found.value if found else "unsettled"
    removed = removed or _excuse(check, facts, law, as_of)
    return (CheckStatus.OUT, removed) if removed else (CheckStatus.MISSED, "")


def _annulled(check: RollCallFact, facts: StudentFacts, as_of: datetime) -> str | None:
    if check.voided_at is not None and check.voided_at <= as_of:
        return "voided"
    again = any(other.replaces == check.check_id and other.launched_at <= as_of for other in facts.checks)
    return "relaunched" if again else None


def _excuse(check: RollCallFact, facts: StudentFacts, law: StandingPolicy, as_of: datetime) -> str | None:
    if any(_accepted(claim, check, law, as_of) for claim in facts.claims):
        return "reason_accepted"
    if exempts(facts.leaves, check.window, law.minimum_window, as_of) is Exemption.EXEMPT:
        return "on_leave"
    if outage_excuses(check, facts.outages, law, as_of):
        return "outage"
    return None


def _accepted(claim: ReasonClaim, check: RollCallFact, law: StandingPolicy, as_of: datetime) -> bool:
    decided = claim.decided_at is not None and claim.decided_at <= as_of
    return (
        decided
        and claim.accepted
        and claim.check_id == check.check_id
        and reason_objection(law, claim.reason, claim.text) is None
    )


def reason_objection(law: StandingPolicy, reason: str | None, text: str) -> str | None:
    """Why this is no justified reason of the catalogue, or None (reading 10)."""
    if reason is None or reason not in law.reasons:
        return "reason_not_in_catalogue"
    if law.reasons[reason] and not text.strip():
        return "reason_needs_text"
    return None


def outage_excuses(
    check: RollCallFact, outages: Sequence[Outage], law: StandingPolicy, as_of: datetime
) -> bool:
    """Whether approved outages leave less than the minimum window (reading 8)."""
    spans = [
        (outage.starts_at, min(outage.end(as_of) or check.closes_at, check.closes_at))
        for outage in outages
        if outage.approved and outage.decided_at is not None and outage.decided_at <= as_of
    ]
    touching = [span for span in spans if span[0] < check.closes_at and check.opens_at < span[1]]
    window = (check.opens_at, check.closes_at)
    return bool(touching) and longest_free(window, touching) < law.minimum_window


def term_of(day: date, terms: Sequence[SchoolTerm]) -> SchoolTerm | None:
    return next((term for term in terms if term.covers(day)), None)


def sequence(
    facts: StudentFacts, book: PolicyHistory, strikes: Exclusions, as_of: datetime
) -> tuple[SequenceItem, ...]:
    """Every closed check whose misses count, in the order of the closes, across all terms."""
    links: list[SequenceItem] = []
    windows: list[RollCallFact] = []
    for check in sorted(facts.checks, key=lambda item: (item.launched_at, item.check_id)):
        if check.closes_at > as_of:
            continue
        law = book.on(event_day(check))
        if check.kind not in law.counted_kinds or check.launcher not in law.counted_launchers:
            continue
        term = term_of(legal_day(check.opens_at), facts.terms)
        if term is None or not term.covers(event_day(check)):
            place, why = CheckStatus.OUT, "outside_one_term"
        elif any(_overlap(check, earlier) for earlier in windows):
            place, why = CheckStatus.OUT, "overlapping_window"
        else:
            place, why = check_status(check, facts, law, strikes, as_of)
            if why not in {"voided", "relaunched"}:
                windows.append(check)
        links.append(SequenceItem(check, term.code if term else "", event_day(check), place, why))
    return tuple(sorted(links, key=lambda link: (link.check.closes_at, link.check.check_id)))


def _overlap(one: RollCallFact, other: RollCallFact) -> bool:
    return one.opens_at < other.closes_at and other.opens_at < one.closes_at


@dataclass(frozen=True, slots=True)
class ThresholdHit:
    """A point of the sequence at which a threshold was reached, with the misses it rests on."""

    term: str
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]
    event_day: date


def threshold_hits(links: Sequence[SequenceItem], book: PolicyHistory) -> tuple[ThresholdHit, ...]:
    """Each miss of each term that reaches "consecutive" or "cumulative" by the law of its own day."""
    run: dict[str, int] = {}
    missed: dict[str, list[str]] = {}
    found: list[ThresholdHit] = []
    for link in links:
        if link.place is CheckStatus.PASSED:
            run[link.term] = 0
        if link.place is not CheckStatus.MISSED:
            continue
        run[link.term] = run.get(link.term, 0) + 1
        misses = missed.setdefault(link.term, [])
        misses.append(check_key(link.check.check_id))
        law = book.on(link.event_day)
        reached = {"consecutive": law.consecutive, "cumulative": law.cumulative}
        counts = {"consecutive": run[link.term], "cumulative": len(misses)}
        grounds = tuple(ground for ground in reached if counts[ground] >= reached[ground])
        if grounds:
            needed = max(reached[ground] for ground in grounds)
            found.append(ThresholdHit(link.term, grounds, tuple(misses[-needed:]), link.event_day))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class MissCounts:
    """The counts of one term at an instant."""

    term: str
    consecutive: int
    cumulative: int
    one_more_miss_prompts: bool
    """The warning before the threshold: neither limit is reached, and the next miss reaches one."""


def count_misses(links: Sequence[SequenceItem], term: str, law: StandingPolicy) -> MissCounts:
    """Count a term's misses; a new term starts at zero (reading 3)."""
    places = [link.place for link in links if link.term == term and link.place is not CheckStatus.OUT]
    cumulative = places.count(CheckStatus.MISSED)
    run = next((n for n, place in enumerate(reversed(places)) if place is CheckStatus.PASSED), len(places))
    left = min(law.consecutive - run, law.cumulative - cumulative)
    return MissCounts(term, run, cumulative, left == 1)
