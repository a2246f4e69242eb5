"""Triggers: which prompts the known facts call for, and whether an open prompt is still justified.

Misses (HN334-4.1b), leave over the limit (HN334-3.5b, reading 4), absence without leave (HN334-3.5c, reading 5).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from backend.leave.rules import LeaveInterval, SchoolTerm, count_days_used, is_countable
from backend.org.calendar import CalendarYearMissing, WorkingCalendar
from backend.standing.engine.absence import AbsencePeriod, find_absence_periods
from backend.standing.engine.facts import StudentFacts, check_key, leave_key
from backend.standing.engine.misses import (
    SETTLED,
    CheckStatus,
    Exclusions,
    SequenceItem,
    build_sequence,
    find_threshold_hits,
    find_undetermined,
)
from backend.standing.engine.prompts import Prompt, PromptKind, PromptTrigger
from backend.standing.policy import PolicyHistory


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known at one instant, counted."""

    facts: StudentFacts
    policies: PolicyHistory
    calendar: WorkingCalendar
    exclusions: Exclusions
    at: datetime
    sequence: tuple[SequenceItem, ...]
    absence_periods: tuple[AbsencePeriod, ...]

    @property
    def running_absence(self) -> AbsencePeriod | None:
        last = self.absence_periods[-1] if self.absence_periods else None
        return last if last is not None and last.ended_at is None else None

    @property
    def leaves(self) -> tuple[LeaveInterval, ...]:
        """Leave that counts, in order."""
        counted = (
            leave for leave in self.facts.leaves if leave_key(leave.leave_id) not in self.exclusions.reasons
        )
        return tuple(sorted(counted, key=lambda leave: (leave.starts_at, leave.leave_id)))


def take_snapshot(
    facts: StudentFacts,
    policies: PolicyHistory,
    calendar: WorkingCalendar,
    exclusions: Exclusions,
    at: datetime,
) -> Snapshot:
    """Count the facts known at the instant."""
    sequence = build_sequence(facts, policies, exclusions, at)
    periods = find_absence_periods(facts, policies, exclusions, at)
    return Snapshot(facts, policies, calendar, exclusions, at, sequence, periods)


# --- what calls for a prompt ---


def find_triggers(snapshot: Snapshot) -> Iterable[PromptTrigger]:
    """Every reason to raise a prompt, the earliest of each kind and term first."""
    yield from _miss_triggers(snapshot)
    yield from _leave_triggers(snapshot)
    yield from _absence_triggers(snapshot)


def _miss_triggers(snapshot: Snapshot) -> Iterable[PromptTrigger]:
    for hit in find_threshold_hits(snapshot.sequence, snapshot.policies):
        law = snapshot.policies.on(hit.event_day)
        yield PromptTrigger(PromptKind.MISSES, hit.term, hit.grounds, hit.evidence, law)


def _leave_triggers(snapshot: Snapshot) -> Iterable[PromptTrigger]:
    for term in snapshot.facts.terms if snapshot.leaves else ():
        try:
            day = find_day_over_cap(snapshot, term)
        except CalendarYearMissing:
            continue
        if day is not None:
            evidence = tuple(
                leave_key(leave.leave_id)
                for leave in snapshot.leaves
                if any(used <= day for used in count_days_used([leave], snapshot.at, term.in_session))
            )
            law = snapshot.policies.on(day)
            yield PromptTrigger(PromptKind.LEAVE_OVER_CAP, term.code, ("over_cap",), evidence, law)


def _absence_triggers(snapshot: Snapshot) -> Iterable[PromptTrigger]:
    """The law of the first absence applies; the evidence are the records up to the limit."""
    for period in snapshot.absence_periods:
        if period.over_limit(snapshot.at):
            covering = (term.code for term in snapshot.facts.terms if term.covers(period.starts_on))
            law = snapshot.policies.on(period.starts_on)
            yield PromptTrigger(PromptKind.ABSENCE, next(covering, ""), ("over_limit",), period.records, law)


def find_day_over_cap(snapshot: Snapshot, term: SchoolTerm) -> date | None:
    """The first leave day that exceeds the limit, each day counted by the law of that day.

    Raises `CalendarYearMissing` in teaching-day mode if the calendar year is not loaded.
    """
    used = 0
    for day in count_days_used(snapshot.leaves, snapshot.at, term.in_session):
        law = snapshot.policies.on(day).leave
        used += is_countable(term, law.day_count, snapshot.calendar)(day)
        if used >= law.prompt_from:
            return day
    return None


# --- whether a prompt is still justified ---


def has_basis(prompt: Prompt, snapshot: Snapshot) -> bool:
    """Whether the facts known now justify the prompt, even if its own evidence no longer counts.

    The evidence of a sanction stops counting when the student returns (`SETTLED`). The sanction keeps its basis.
    """
    kept = {
        key: why
        for key, why in snapshot.exclusions.reasons.items()
        if not (why in SETTLED and key in prompt.evidence)
    }
    if len(kept) != len(snapshot.exclusions.reasons):
        snapshot = _count_again(snapshot, replace(snapshot.exclusions, reasons=kept))
    return is_still_justified(prompt, snapshot)


def rests_on_undetermined(prompt: Prompt, snapshot: Snapshot) -> bool:
    """Whether the limit is reached only if an undetermined check is not a pass (reading 16)."""
    undetermined = find_undetermined(snapshot.facts, snapshot.exclusions, snapshot.at)
    if not undetermined or not has_basis(prompt, snapshot):
        return False
    exclusions = snapshot.exclusions
    passed = _count_again(snapshot, replace(exclusions, present=exclusions.present | undetermined))
    return not has_basis(prompt, passed)


def _count_again(snapshot: Snapshot, exclusions: Exclusions) -> Snapshot:
    return take_snapshot(snapshot.facts, snapshot.policies, snapshot.calendar, exclusions, snapshot.at)


def is_still_justified(prompt: Prompt, snapshot: Snapshot) -> bool:
    """Whether the facts known now still justify the prompt, by the law of its event day."""
    if not snapshot.exclusions.reasons.keys().isdisjoint(prompt.evidence):
        return False
    match prompt.kind:
        case PromptKind.MISSES:
            return are_still_missed(prompt.evidence, snapshot) and any(
                hit.evidence[-1] == prompt.evidence[-1]
                for hit in find_threshold_hits(snapshot.sequence, snapshot.policies)
            )
        case PromptKind.LEAVE_OVER_CAP:
            return _is_still_over_cap(prompt, snapshot)
        case PromptKind.ABSENCE:
            return any(
                period.records[0] == prompt.evidence[0] and period.over_limit(prompt.raised_at)
                for period in snapshot.absence_periods
            )


def _is_still_over_cap(prompt: Prompt, snapshot: Snapshot) -> bool:
    term = next(term for term in snapshot.facts.terms if term.code == prompt.term)
    try:
        reached = find_day_over_cap(snapshot, term)
    except CalendarYearMissing:
        return False  # the known days no longer reach the limit, and the remaining ones cannot be counted
    return reached is not None and reached <= prompt.event_day


def are_still_missed(evidence: tuple[str, ...], snapshot: Snapshot) -> bool:
    """Whether every check in the evidence still counts as a miss."""
    missed = {
        check_key(item.check.check_id) for item in snapshot.sequence if item.status is CheckStatus.MISSED
    }
    return missed.issuperset(evidence)
