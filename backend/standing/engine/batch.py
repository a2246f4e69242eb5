"""Judging many: of students whose records differ only in who they are, the law says the same, and is asked once.

After a spot check of a province ten thousands have missed the same checks, and nothing else is on file of most of
them. What the rules made of the first is told of the others by their own ids. Pure; `told_of` and `normalise` are held
against `rules.assess` itself for any course of events in the tests.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from backend.core.clock import legal_day
from backend.org.calendar import WorkingCalendar
from backend.roll_call.rules import Outcome
from backend.standing.engine.assess import Assessment, assess, naming_warning
from backend.standing.engine.facts import Result, RollCallFact, StudentFacts
from backend.standing.engine.misses import event_day
from backend.standing.engine.prompts import naming_prompt
from backend.standing.engine.trace import canonical
from backend.standing.policy import PolicyHistory

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_NOBODY = ""
_BLANK = "«{}»"
"""Stands for an id in the text of a pattern; nothing that is on file reads like it."""


@dataclass(frozen=True, slots=True)
class AssessmentRecord:
    """A picture, its canonical JSON, and the digest of what it says (32 bytes).

    The digest leaves out when it was asked and the version of the files it was read from: two pictures with the same
    digest have the same consequences.
    """

    assessment: Assessment
    written: str
    digest: bytes

    @classmethod
    def of(cls, assessment: Assessment) -> Self:
        return cls(assessment, canonical(assessment), _digest(_essence(assessment)))


class BatchAssessor:
    """Judges under one calendar, and remembers what it said for as long as it sits."""

    def __init__(self, calendar: WorkingCalendar) -> None:
        self._calendar = calendar
        self._said: dict[tuple[StudentFacts, str, datetime], _Pattern | None] = {}

    def judge(self, facts: StudentFacts, book: PolicyHistory, as_of: datetime) -> AssessmentRecord:
        """What `rules.assess` says of the facts; raises what it raises."""
        likeness = replace(normalise(facts, book, as_of), student_id=_NOBODY)
        key = (likeness, book.place, as_of)
        if key not in self._said:
            assessment = assess(facts, book, self._calendar, as_of)
            self._said[key] = _Pattern.of(assessment) if is_told_by_ids_alone(assessment) else None
            return AssessmentRecord.of(assessment)
        pattern = self._said[key]
        if pattern is None:
            return AssessmentRecord.of(assess(facts, book, self._calendar, as_of))
        return pattern.told_of(facts.student_id)


# --- one picture told of another student ---


def is_told_by_ids_alone(assessment: Assessment) -> bool:
    """Whether a picture of somebody else with the same record would differ in nothing but ids.

    Changes of status carry ids of their own making, and prompts of one instant stand in the order of their ids.
    """
    untouched = not assessment.ledger and not assessment.aid and not assessment.refused
    instants = [prompt.raised_at for prompt in assessment.prompts]
    return untouched and assessment.lock.locked_by is None and len(set(instants)) == len(instants)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A judgement with blanks where its ids stand, and how these are made for a student."""

    assessment: Assessment
    written: str
    essence: str
    prompts: tuple[Callable[[str], str], ...]
    warnings: tuple[Callable[[str], str], ...]

    @classmethod
    def of(cls, assessment: Assessment) -> Self:
        blank = _renamed(
            assessment,
            _BLANK.format("student"),
            [_BLANK.format(f"prompt {number}") for number, _ in enumerate(assessment.prompts)],
            [_BLANK.format(f"warning {number}") for number, _ in enumerate(assessment.warnings)],
        )
        return cls(
            blank,
            canonical(blank),
            _essence(blank),
            tuple(naming_prompt(each) for each in assessment.prompts),
            tuple(naming_warning(each) for each in assessment.warnings),
        )

    def told_of(self, student_id: str) -> AssessmentRecord:
        """The judgement of the student."""
        blank = self.assessment
        assessment = _renamed(
            blank,
            student_id,
            [name(student_id) for name in self.prompts],
            [name(student_id) for name in self.warnings],
        )
        instead = [(blank.student_id, student_id)]
        instead += [
            (a.prompt_id, b.prompt_id) for a, b in zip(blank.prompts, assessment.prompts, strict=True)
        ]
        instead += [
            (a.warning_id, b.warning_id) for a, b in zip(blank.warnings, assessment.warnings, strict=True)
        ]
        written, essence = self.written, self.essence
        for old, new in instead:
            written, essence = written.replace(old, new), essence.replace(old, new)
        return AssessmentRecord(assessment, written, _digest(essence))


def _renamed(assessment: Assessment, student_id: str, prompts: list[str], warnings: list[str]) -> Assessment:
    return replace(
        assessment,
        student_id=student_id,
        prompts=tuple(
            replace(each, prompt_id=new) for each, new in zip(assessment.prompts, prompts, strict=True)
        ),
        warnings=tuple(
            replace(each, warning_id=new) for each, new in zip(assessment.warnings, warnings, strict=True)
        ),
    )


def _essence(assessment: Assessment) -> str:
    return canonical(replace(assessment, as_of=_NEVER, policy_version=""))


def digest_of(stored: Mapping[str, Any]) -> bytes:
    """The digest of a picture that is stored as JSON."""
    return _digest(canonical({**stored, "as_of": _NEVER, "policy_version": ""}))


def _digest(essence: str) -> bytes:
    return hashlib.sha256(essence.encode()).digest()


# --- what the rules cannot tell apart ---


def normalise(facts: StudentFacts, book: PolicyHistory, as_of: datetime) -> StudentFacts:
    """The same facts without the instants that make no difference to the rules, where only checks are on file.

    Everybody's receipt and everybody's result has an instant of its own. What time alone brings about comes at the
    midnights of legal days; so where each check has a day to itself, a result that is known on that day is as good as
    one known at the close, and a notice that reached the student in time as one at the opening.
    """
    days = {event_day(check) for check in facts.checks}
    if _more_than_checks(facts) or len(days) != len(facts.checks):
        return facts
    closed = [check for check in facts.checks if check.closes_at <= as_of]
    least = max((book.on(event_day(check)).minimum_window for check in closed), default=None)
    if least is None:
        return facts
    checks = (_at_the_close(_in_time(check, check.closes_at - least), as_of) for check in closed)
    return replace(facts, checks=(*checks, *(check for check in facts.checks if check.closes_at > as_of)))


def _more_than_checks(facts: StudentFacts) -> bool:
    acts = (facts.deliveries, facts.decisions, facts.acknowledgements, facts.appeals, facts.reversals)
    told = (facts.leaves, facts.claims, facts.outages, facts.attendance, facts.edits, facts.approvals)
    replaced = any(check.replaces or check.voided_at for check in facts.checks)
    return any((*acts, *told, facts.calendar_loads)) or replaced


def _at_the_close(check: RollCallFact, as_of: datetime) -> RollCallFact:
    if len(check.results) != 1:
        return check
    [result] = check.results
    known = result.at <= as_of and legal_day(result.at) == event_day(check)
    if result.outcome is Outcome.MISSED or not known:
        return check
    return replace(check, results=(Result(result.outcome, check.closes_at),))


def _in_time(check: RollCallFact, latest: datetime) -> RollCallFact:
    """`latest`: until when a notice left the student time enough by any law that may be asked."""
    delivered, recorded = check.notice_delivered_at, check.notice_recorded_at
    if (
        delivered is None
        or max(delivered, check.opens_at) > latest
        or (recorded or delivered) > check.closes_at
    ):
        return check
    return replace(check, notice_delivered_at=check.opens_at, notice_recorded_at=None)
