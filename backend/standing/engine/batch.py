"""Assessing many students: students with the same facts are assessed once.

After a province-wide spot check, tens of thousands of students have missed the same checks and have nothing else on
file. Their facts differ only in the student and in instants that do not affect the result. `BatchAssessor` therefore
removes the student and normalises those instants, assesses each distinct set of facts once, and derives the ids of
prompts and warnings for each student (`ids.py`). Property tests compare every result with `assess`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

from backend.core.clock import legal_day
from backend.org.calendar import WorkingCalendar
from backend.roll_call.rules import Outcome
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import Result, RollCallFact, StudentFacts
from backend.standing.engine.misses import event_day
from backend.standing.engine.trace import encode_canonical
from backend.standing.policy import PolicyHistory

ANY_STUDENT = ""
FIELDS = frozenset(field.name for field in fields(Assessment))
FIELDS_WITH_IDS = frozenset({"student_id", "prompts", "warnings"})
"""The fields that differ between students with the same shareable facts."""
IGNORED_BY_DIGEST = {"as_of": datetime(1, 1, 1, tzinfo=UTC), "policy_version": ""}
"""Fields whose change causes no prompt, entry, warning or event, with the constants that replace them in the digest."""


@dataclass(frozen=True, slots=True)
class AssessmentRecord:
    """An assessment, its canonical JSON, and the digest of its content (32 bytes).

    The digest ignores `as_of` and the policy version: the same digest means no new prompt, entry, warning or event.
    """

    assessment: Assessment
    canonical_json: str
    digest: bytes

    @classmethod
    def of(cls, assessment: Assessment, serialised: Mapping[str, str] | None = None) -> Self:
        """`serialised`: the canonical JSON of fields that are serialised already."""
        names = FIELDS - (serialised or {}).keys()
        parts = {**(serialised or {}), **_serialise(assessment, names)}
        ignored = {name: encode_canonical(value) for name, value in IGNORED_BY_DIGEST.items()}
        return cls(assessment, _join(parts), _hash(_join(parts | ignored)))


def _serialise(assessment: Assessment, names: Iterable[str]) -> dict[str, str]:
    return {name: encode_canonical(getattr(assessment, name)) for name in names}


def _join(parts: Mapping[str, str]) -> str:
    """The canonical JSON of an object from the canonical JSON of its values."""
    return "{" + ",".join(f'"{name}":{parts[name]}' for name in sorted(parts)) + "}"


def digest_of(stored: Mapping[str, Any]) -> bytes:
    """The digest of an assessment that was stored as JSON."""
    return _hash(encode_canonical({**stored, **IGNORED_BY_DIGEST}))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class BatchAssessor:
    """Assesses students under one calendar, with a cache that lives as long as the object."""

    def __init__(self, calendar: WorkingCalendar) -> None:
        self._calendar = calendar
        self._cache: dict[tuple[StudentFacts, str, datetime], tuple[Assessment, dict[str, str]]] = {}

    def assess(self, facts: StudentFacts, policies: PolicyHistory, as_of: datetime) -> AssessmentRecord:
        """The same result as `engine.assess.assess`; raises what it raises."""
        if not is_shareable(facts):
            return AssessmentRecord.of(assess(facts, policies, self._calendar, as_of))
        shared = replace(normalise(facts, policies, as_of), student_id=ANY_STUDENT)
        key = (shared, policies.place, as_of)
        if key not in self._cache:
            assessment = assess(shared, policies, self._calendar, as_of)
            self._cache[key] = assessment, _serialise(assessment, FIELDS - FIELDS_WITH_IDS)
        assessment, serialised = self._cache[key]
        return AssessmentRecord.of(for_student(assessment, facts.student_id), serialised)


def is_shareable(facts: StudentFacts) -> bool:
    """Whether other students with the same facts have the same assessment, except for derived ids.

    Not if a fact refers to a prompt or a change: it names an id of this student's. Edits and appeals have ids of their
    own, which the ledger and the refused acts repeat.
    """
    acts = (facts.deliveries, facts.decisions, facts.acknowledgements, facts.evidence_closures)
    return not any((*acts, facts.appeals, facts.reversals, facts.edits))


def for_student(assessment: Assessment, student_id: str) -> Assessment:
    """The assessment of another student with the same shareable facts."""
    return replace(
        assessment,
        student_id=student_id,
        prompts=tuple(prompt.for_student(student_id) for prompt in assessment.prompts),
        warnings=tuple(warning.for_student(student_id) for warning in assessment.warnings),
    )


# --- normalising ---


def normalise(facts: StudentFacts, policies: PolicyHistory, as_of: datetime) -> StudentFacts:
    """The same facts with instants that do not affect the result replaced by the opening or the close of the check.

    Each student's receipt and result have an instant of their own. Limits and deadlines only fall on midnights of legal
    days. So if every check has a legal day of its own, a result known on that day has the same effect as one known at
    the close, and a notice delivered in time has the same effect as one delivered at the opening. Facts other than
    checks can depend on the exact instants; then nothing is changed.
    """
    days = {event_day(check) for check in facts.checks}
    if _has_more_than_checks(facts) or len(days) != len(facts.checks):
        return facts
    closed = [check for check in facts.checks if check.closes_at <= as_of]
    if not closed:
        return facts
    longest_minimum = max(policies.on(event_day(check)).minimum_window for check in closed)
    normalised = (
        _with_result_at_close(_with_notice_at_opening(check, check.closes_at - longest_minimum), as_of)
        for check in closed
    )
    return replace(facts, checks=(*normalised, *(check for check in facts.checks if check.closes_at > as_of)))


def _has_more_than_checks(facts: StudentFacts) -> bool:
    events = (
        facts.leaves,
        facts.claims,
        facts.outages,
        facts.attendance,
        facts.approvals,
        facts.leave_answers,
    )
    cancelled = any(check.replaces or check.voided_at or check.completed for check in facts.checks)
    return not is_shareable(facts) or any((*events, facts.calendar_loads)) or cancelled


def _with_result_at_close(check: RollCallFact, as_of: datetime) -> RollCallFact:
    if len(check.results) != 1:
        return check
    [result] = check.results
    known_that_day = result.at <= as_of and legal_day(result.at) == event_day(check)
    if result.outcome is Outcome.MISSED or not known_that_day:
        return check
    return replace(check, results=(Result(result.outcome, check.closes_at),))


def _with_notice_at_opening(check: RollCallFact, latest: datetime) -> RollCallFact:
    """`latest`: the last instant at which a notice is in time by every law that applies to one of the checks."""
    delivered, recorded = check.notice_delivered_at, check.notice_recorded_at
    if (
        delivered is None
        or max(delivered, check.opens_at) > latest
        or (recorded or delivered) > check.closes_at
    ):
        return check
    return replace(check, notice_delivered_at=check.opens_at, notice_recorded_at=None)
