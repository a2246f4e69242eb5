"""Facts that speak of what the rules made: deliveries, decisions, appeals, reversals.

Prompts and changes have no ids that a lawyer could know. A fact that speaks of one ("the prompt about misses") means
the latest of its kind at the instant of the fact, so these facts are resolved in the order of their events.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from backend.law_cases import format as shape
from backend.law_cases.errors import Source
from backend.org.calendar import WorkingCalendar
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Decision,
    PromptDelivery,
    Reversal,
    StudentFacts,
)
from backend.standing.engine.ledger import SANCTIONS
from backend.standing.policy import PolicyHistory

Add = Callable[[StudentFacts, Assessment], StudentFacts]


def resolve(
    case: shape.Case, facts: StudentFacts, book: PolicyHistory, calendar: WorkingCalendar, source: Source
) -> StudentFacts:
    """The facts with every delivery, decision, answer, appeal and reversal added; refuses one that points nowhere."""
    waiting: list[tuple[datetime, Add]] = []
    for number, fact in enumerate(case.facts):
        names = _Names(source, f"facts.{number}")
        if fact.prompt_delivered:
            waiting.append((fact.prompt_delivered.at, partial(_delivered, fact.prompt_delivered, names)))
        elif fact.decision:
            waiting.append((fact.decision.at, partial(_decided, fact.decision, names)))
        elif fact.acknowledgement:
            waiting.append((fact.acknowledgement.at, partial(_acknowledged, fact.acknowledgement)))
        elif fact.appeal:
            waiting.append((fact.appeal.filed, partial(_appealed, fact.appeal, names)))
        elif fact.reversal:
            waiting.append((fact.reversal.at, partial(_reversed, fact.reversal, names)))
    for at, add in sorted(waiting, key=lambda item: item[0]):
        facts = add(facts, assess(facts, book, calendar, at))
    return facts


@dataclass(frozen=True, slots=True)
class _Names:
    """What the words of one fact mean in the picture of its instant."""

    source: Source
    key: str

    def prompt(self, asked: str, assessment: Assessment) -> str:
        """`misses` is the latest prompt of that kind, `misses#2` the second."""
        kind, _, number = asked.partition("#")
        found = [prompt.prompt_id for prompt in assessment.prompts if prompt.kind == kind]
        return self._nth(found, number, "prompt", asked)

    def change(self, asked: int | str, assessment: Assessment) -> str:
        found = [entry.entry_id for entry in assessment.ledger if entry.cause in SANCTIONS]
        return self._nth(found, "" if asked == "latest" else str(asked), "change", asked)

    def _nth(self, found: list[str], number: str, key: str, asked: object) -> str:
        position = int(number) - 1 if number.isdecimal() else -1
        if not found or (number and not 0 <= position < len(found)):
            self.source.unknown(f"{self.key}.{key}", asked)
        return found[position]


def _delivered(
    it: shape.Delivered, names: _Names, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    new = PromptDelivery(names.prompt(it.prompt, assessment), it.at)
    return replace(facts, deliveries=(*facts.deliveries, new))


def _decided(
    it: shape.DecisionFact, names: _Names, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    prompt = names.prompt(it.prompt, assessment)
    new = Decision(
        it.id, prompt, it.at, it.by, it.role, it.outcome, it.reasons, it.found_reason, it.found_text
    )
    return replace(facts, decisions=(*facts.decisions, new))


def _acknowledged(it: shape.AcknowledgementFact, facts: StudentFacts, _: Assessment) -> StudentFacts:
    new = Acknowledgement(it.decision, it.at, it.by, it.accepted)
    return replace(facts, acknowledgements=(*facts.acknowledgements, new))


def _appealed(
    it: shape.AppealFact, names: _Names, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    target, target_id = "gaokao", ""
    if it.roll_call is not None:
        target, target_id = "check", it.roll_call
    elif it.change is not None:
        target, target_id = "change", names.change(it.change, assessment)
    new = Appeal(it.id, it.by, target, target_id, it.filed, it.previous, it.decided, it.upheld, it.finding)
    return replace(facts, appeals=(*facts.appeals, new))


def _reversed(
    it: shape.ReversalFact, names: _Names, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    new = Reversal(it.id, names.change(it.change, assessment), it.at, it.by, it.reasons)
    return replace(facts, reversals=(*facts.reversals, new))
