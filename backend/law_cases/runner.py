"""Running law cases: what the rules say at each expected instant, compared with what the lawyer expects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from backend.aid.rules import Account, Applicant, aid_accounts, aid_changes, ineligibility
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.law_cases.fixtures import World, build
from backend.law_cases.format import Case, Expectation
from backend.law_cases.loader import read_cases
from backend.leave.rules import exempts
from backend.policy import Policy
from backend.standing.engine.assess import Assessment, TermSummary
from backend.standing.engine.ledger import Entry
from backend.standing.engine.misses import CheckStatus, event_day
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import document

SIGNS = {CheckStatus.MISSED: "M", CheckStatus.PASSED: "P", CheckStatus.OUT: "-"}


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the rules disagree with the case."""

    at: str
    key: str
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case that was run; `trace` holds the pictures at the instants that failed."""

    file: str
    name: str
    clauses: tuple[str, ...]
    differences: tuple[Difference, ...]
    trace: tuple[Any, ...]

    @property
    def passed(self) -> bool:
        return not self.differences


def run_file(path: Path, law: Policy) -> list[CaseResult]:
    """Run every case of a file; raises a `CaseMalformed` before any result if one cannot be read."""
    worlds = [build(case, law, str(path)) for case in read_cases(path)]
    return [run(world, str(path)) for world in worlds]


def run(world: World, file: str) -> CaseResult:
    """Compare a case with the rules at each of its instants."""
    differences: list[Difference] = []
    traces: list[Any] = []
    for expected in world.case.expect:
        assessment = world.assessment(expected.at)
        wanted = _wanted(expected)
        found = _differences(wanted, _actual(world, expected, assessment), "", _written(expected.at))
        differences += found
        traces += [document(assessment)] if found else []
    case: Case = world.case
    return CaseResult(file, case.name, tuple(case.clauses), tuple(differences), tuple(traces))


def _wanted(expected: Expectation) -> dict[str, Any]:
    """The expectation as plain data: only the keys that were written."""
    written = expected.model_dump(exclude_unset=True, exclude={"at", "term"})
    return {key: _plain(value) for key, value in written.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _written(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _written(at: datetime) -> str:
    return at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _differences(expected: Any, actual: Any, key: str, at: str) -> list[Difference]:
    """Mappings are compared by the keys expected, lists by length and place, everything else by value."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return [
            difference
            for name, value in expected.items()
            for difference in _differences(value, actual.get(name), f"{key}.{name}".lstrip("."), at)
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [
            difference
            for number, (want, have) in enumerate(zip(expected, actual, strict=True))
            for difference in _differences(want, have, f"{key}.{number}", at)
        ]
    return [] if expected == actual else [Difference(at, key, expected, actual)]


# --- what the rules say, in the words of the format ---


def _actual(world: World, expected: Expectation, assessment: Assessment) -> dict[str, Any]:
    term = _term(world, expected, assessment)
    leave = term.leave
    said: dict[str, Any] = {
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
    return said | {"aid": _aid(world, assessment), "ineligible": _ineligible(world, assessment)}


def _term(world: World, expected: Expectation, assessment: Assessment) -> TermSummary:
    """The term asked for, else that of the instant, else the last one before it."""
    day = legal_day(expected.at)
    begun = [term.code for term in world.facts.terms if term.starts_on <= day]
    code = expected.term or (begun or [world.facts.terms[0].code])[-1]
    return next((term for term in assessment.terms if term.term == code), assessment.terms[-1])


def _prompt(prompt: Prompt) -> dict[str, Any]:
    due = prompt.deadline
    return {
        "kind": prompt.kind.value,
        "term": prompt.term,
        "state": prompt.state.value,
        "grounds": list(prompt.grounds),
        "evidence": [key.partition(":")[2] for key in prompt.evidence],
        "event_day": prompt.event_day.isoformat(),
        "raised": _written(prompt.raised_at),
        "proposed": prompt.proposed,
        "deadline": _written(due.at) if due and due.at else None,
        "missing_year": due.missing_year if due else None,
        "reminders": [item.on.isoformat() for item in due.reminders] if due else [],
        "blockers": list(prompt.blockers),
        "closed_by": prompt.closed_by,
    }


def _change(entry: Entry) -> dict[str, Any]:
    return {
        "outcome": entry.outcome,
        "cause": entry.cause.value,
        "at": _written(entry.at),
        "change_kind": entry.change_kind,
        "standing": entry.after.standing,
        "study_form": entry.after.study_form,
    }


def _exemptions(world: World, at: datetime) -> dict[str, str]:
    return {
        check.check_id: exempts(
            world.facts.leaves, check.window, world.book.on(event_day(check)).minimum_window, at
        ).value
        for check in world.facts.checks
    }


def _absence(assessment: Assessment) -> Any:
    spell = assessment.absence
    if spell is None:
        return "none"
    return _plain({"since": spell.starts_on, "alert_on": spell.alert_on, "limit_day": spell.limit_day})


def _aid(world: World, assessment: Assessment) -> dict[str, Any]:
    kinds = world.book.policy.at(legal_day(assessment.as_of), world.book.place).texts("aid.withdrawal.kinds")
    accounts = aid_accounts(
        world.awards, world.payments, aid_changes(assessment, world.facts.terms), kinds, assessment.as_of
    )
    held = [blocker for release in assessment.aid if release.at is None for blocker in release.blockers]
    return {
        "due": accounts.balance(Account.DUE),
        "paid": accounts.balance(Account.PAID),
        "withdrawn": accounts.balance(Account.WITHDRAWN),
        "discrepancy": sum(item.fen for item in accounts.discrepancies),
        "blockers": held,
    }


def _ineligible(world: World, assessment: Assessment) -> list[str]:
    student = world.case.student
    return list(
        ineligibility(
            Applicant(
                assessment.status.study_form,
                assessment.status.standing,
                student.degree_track,
                student.formally_registered,
                student.compulsory_education_duplicate,
            )
        )
    )
