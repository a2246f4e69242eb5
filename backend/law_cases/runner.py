"""Running law cases: comparing the engine's assessment with the expectation at each instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from backend.aid.rules import (
    Account,
    Applicant,
    compute_accounts,
    find_aid_changes,
    find_ineligibility_reasons,
)
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.law_cases.fixtures import World, build
from backend.law_cases.format import Case, Expectation
from backend.law_cases.loader import read_cases
from backend.leave.rules import find_exemption
from backend.policy import Policy
from backend.standing.engine.assess import Assessment, TermSummary
from backend.standing.engine.ledger import LedgerEntry
from backend.standing.engine.misses import CheckStatus, event_day
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import decode_canonical

SIGNS = {CheckStatus.MISSED: "M", CheckStatus.PASSED: "P", CheckStatus.EXCLUDED: "-"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs from the expectation."""

    at: str
    key: str
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case; `trace` holds the assessments at the instants that failed."""

    file: str
    name: str
    clauses: tuple[str, ...]
    differences: tuple[Difference, ...]
    trace: tuple[Any, ...]

    @property
    def passed(self) -> bool:
        return not self.differences


def run_file(path: Path, law: Policy) -> list[CaseResult]:
    """Run every case of a file. Raises a `CaseMalformed` before any result if one is malformed."""
    worlds = [build(case, law, str(path)) for case in read_cases(path)]
    return [run(world, str(path)) for world in worlds]


def run(world: World, file: str) -> CaseResult:
    """Compare a case with the engine at each of its instants."""
    differences: list[Difference] = []
    traces: list[Any] = []
    for expected in world.case.expect:
        assessment = world.assessment(expected.at)
        actual = actual_values(world, expected, assessment)
        new = _compare(_expectation_values(expected), actual, "", _format_instant(expected.at))
        differences += new
        traces += [decode_canonical(assessment)] if new else []
    case: Case = world.case
    return CaseResult(file, case.name, tuple(case.clauses), tuple(differences), tuple(traces))


def _expectation_values(expectation: Expectation) -> dict[str, Any]:
    """The expectation as plain data, with only the given keys."""
    given = expectation.model_dump(exclude_unset=True, exclude={"at", "term"})
    return {key: _plain(value) for key, value in given.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _format_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _format_instant(at: datetime) -> str:
    return at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _compare(expected: Any, actual: Any, key: str, at: str) -> list[Difference]:
    """Compare objects by the expected keys, lists by length and position, everything else by value."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return [
            difference
            for name, value in expected.items()
            for difference in _compare(value, actual.get(name), f"{key}.{name}".lstrip("."), at)
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [
            difference
            for number, (one, other) in enumerate(zip(expected, actual, strict=True))
            for difference in _compare(one, other, f"{key}.{number}", at)
        ]
    return [] if expected == actual else [Difference(at, key, expected, actual)]


# --- the assessment in the words of the format ---


def actual_values(world: World, expected: Expectation, assessment: Assessment) -> dict[str, Any]:
    """What follows, with every key of an expectation."""
    term = summary_of_term(world, expected, assessment)
    leave = term.leave
    actual: dict[str, Any] = {
        "status": {"standing": assessment.status.standing, "study_form": assessment.status.study_form},
        "counts": {"consecutive": term.misses.consecutive, "cumulative": term.misses.cumulative},
        "sequence": " ".join(SIGNS[item.place] for item in term.sequence),
        "leave_days": len(leave.used) if leave else None,
        "leave_left": leave.left if leave else None,
        "leave_missing_year": term.missing_year,
        "prompts": [_prompt(prompt) for prompt in assessment.prompts],
        "changes": [_change(entry) for entry in assessment.ledger],
        "warnings": sorted(warning.code for warning in assessment.warnings),
        "locked": assessment.lock.locked_by is not None,
        "open_approvals": list(assessment.lock.open_approvals),
        "refused": [reason for act in assessment.refused for reason in act.reasons],
        "exemptions": _exemptions(world, expected.at),
        "absence": _absence(assessment),
    }
    return actual | {"aid": _aid(world, assessment), "ineligible": _ineligible(world, assessment)}


def summary_of_term(world: World, expected: Expectation, assessment: Assessment) -> TermSummary:
    """The requested term, else the term of the instant, else the last one before it."""
    day = legal_day(expected.at)
    started = [term.code for term in world.facts.terms if term.starts_on <= day]
    code = expected.term or (started or [world.facts.terms[0].code])[-1]
    return next((term for term in assessment.terms if term.term == code), assessment.terms[-1])


def _prompt(prompt: Prompt) -> dict[str, Any]:
    deadline = prompt.deadline
    return {
        "kind": prompt.kind.value,
        "term": prompt.term,
        "state": prompt.state.value,
        "grounds": list(prompt.grounds),
        "evidence": [key.partition(":")[2] for key in prompt.evidence],
        "event_day": prompt.event_day.isoformat(),
        "raised": _format_instant(prompt.raised_at),
        "proposed": prompt.proposed,
        "deadline": _format_instant(deadline.at) if deadline and deadline.at else None,
        "missing_year": deadline.missing_year if deadline else None,
        "reminders": [item.on.isoformat() for item in deadline.reminders] if deadline else [],
        "blockers": list(prompt.blockers),
        "closed_by": prompt.closed_by,
    }


def _change(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "outcome": entry.outcome,
        "cause": entry.cause.value,
        "at": _format_instant(entry.at),
        "change_kind": entry.change_kind,
        "standing": entry.after.standing,
        "study_form": entry.after.study_form,
    }


def _exemptions(world: World, at: datetime) -> dict[str, str]:
    return {
        check.check_id: find_exemption(
            world.facts.leaves, check.window, world.policies.on(event_day(check)).minimum_window, at
        ).value
        for check in world.facts.checks
    }


def _absence(assessment: Assessment) -> Any:
    absence = assessment.absence
    if absence is None:
        return "none"
    return _plain({"since": absence.starts_on, "alert_on": absence.alert_on, "limit_day": absence.limit_day})


def _aid(world: World, assessment: Assessment) -> dict[str, Any]:
    kinds = world.policies.policy.at(legal_day(assessment.as_of), world.policies.place).texts(
        "aid.withdrawal.kinds"
    )
    accounts = compute_accounts(
        world.awards, world.payments, find_aid_changes(assessment, world.facts.terms), kinds, assessment.as_of
    )
    blockers = [blocker for release in assessment.aid if release.at is None for blocker in release.blockers]
    return {
        "due": accounts.balance(Account.DUE),
        "paid": accounts.balance(Account.PAID),
        "withdrawn": accounts.balance(Account.WITHDRAWN),
        "discrepancy": sum(item.fen for item in accounts.overpayments),
        "blockers": blockers,
    }


def _ineligible(world: World, assessment: Assessment) -> list[str]:
    student = world.case.student
    return list(
        find_ineligibility_reasons(
            Applicant(
                assessment.status.study_form,
                assessment.status.standing,
                student.degree_track,
                student.formally_registered,
                student.compulsory_education_duplicate,
            )
        )
    )
