"""What follows from the facts of a case at given instants, and why. Pure: the law and the calendar are arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.core.clock import legal_day
from backend.law_cases.explanations import explain_change_of, explain_prompt_of, explain_warning_of
from backend.law_cases.fixtures import World, build
from backend.law_cases.format import Case, Expectation
from backend.law_cases.runner import actual_values, summary_of_term
from backend.policy import Policy
from backend.standing.engine.assess import Assessment, TermSummary
from backend.standing.engine.trace import MISSES
from backend.standing.explanations.model import Explanation, Reader
from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows at one instant, in the words of the format and as the engine's own result."""

    at: datetime
    values: Mapping[str, Any]
    """Every key of an expectation, as plain data."""
    assessment: Assessment
    term: TermSummary
    law: StandingPolicy
    prompts: tuple[Explanation, ...]
    changes: tuple[Explanation, ...]
    warnings: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcomes of a case, and the case with exactly these as its expectations."""

    case: Case
    outcomes: tuple[Outcome, ...]


def evaluate(case: Case, law: Policy, reader: Reader) -> Evaluation:
    """Evaluate a case at the instants of its expectations, which may be empty otherwise.

    The clauses of the returned case are those that the results cite; if nothing follows, the rule of misses, which was
    applied without effect. Raises a `CaseMalformed` for facts that refer to nothing, and `AbsentLaw`.
    """
    world = build(case, law, "")
    outcomes = tuple(_outcome(world, expected, reader) for expected in case.expect)
    cited = (
        reference.clause
        for outcome in outcomes
        for explanation in (*outcome.prompts, *outcome.changes, *outcome.warnings)
        for reference in explanation.references
    )
    clauses = list(dict.fromkeys(cited)) or [MISSES.clause]
    expectations = [
        _expectation(expected, outcome.values)
        for expected, outcome in zip(case.expect, outcomes, strict=True)
    ]
    return Evaluation(case.model_copy(update={"clauses": clauses, "expect": expectations}), outcomes)


def _outcome(world: World, expected: Expectation, reader: Reader) -> Outcome:
    assessment = world.assessment(expected.at)
    return Outcome(
        at=expected.at,
        values=actual_values(world, expected, assessment),
        assessment=assessment,
        term=summary_of_term(world, expected, assessment),
        law=world.policies.on(legal_day(expected.at)),
        prompts=tuple(explain_prompt_of(world, each, reader) for each in assessment.prompts),
        changes=tuple(explain_change_of(world, each, assessment, reader) for each in assessment.ledger),
        warnings=tuple(explain_warning_of(world, each, assessment, reader) for each in assessment.warnings),
    )


def _expectation(asked: Expectation, values: Mapping[str, Any]) -> Expectation:
    """The values as an expectation. What is null is left out: a file would only say that it is not there."""
    given = asked.model_dump(mode="json", include={"at", "term"}, exclude_unset=True)
    return Expectation.model_validate(given | _without_nulls(values))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nulls(each) for each in value]
    return value
