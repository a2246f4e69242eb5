"""Facts that refer to prompts or changes: deliveries, decisions, appeals, reversals, transfers.

The author of a case cannot know the ids of prompts and changes. A fact that refers to one ("the prompt about misses")
means the latest of its kind at the instant of the fact. These facts are therefore resolved in the order of their
instants, each by an assessment of the facts before it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from backend.law_cases import format as shape
from backend.law_cases.errors import Source
from backend.org.calendar import WorkingCalendar
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Decision,
    EvidenceClosure,
    PromptDelivery,
    Reversal,
    StudentFacts,
)
from backend.standing.engine.ledger import SANCTIONS
from backend.standing.engine.transfer import Transfer, carry_facts, open_record, without_closing
from backend.standing.policy import PolicyHistory

Add = Callable[[StudentFacts, Assessment], StudentFacts]
T = TypeVar("T")


def resolve(
    case: shape.Case, facts: StudentFacts, policies: PolicyHistory, calendar: WorkingCalendar, source: Source
) -> StudentFacts:
    """Add every delivery, decision, answer, appeal, reversal and transfer. Raises for an unknown reference."""
    additions: list[tuple[datetime, Add]] = []
    for number, fact in enumerate(case.facts):
        references = _References(source, f"facts.{number}")
        if fact.prompt_delivered:
            additions.append(
                (fact.prompt_delivered.at, partial(_add_delivery, fact.prompt_delivered, references))
            )
        elif fact.decision:
            additions.append((fact.decision.at, partial(_add_decision, fact.decision, references)))
        elif fact.acknowledgement:
            additions.append((fact.acknowledgement.at, partial(_add_acknowledgement, fact.acknowledgement)))
        elif fact.closure:
            additions.append((fact.closure.at, partial(_add_closure, fact.closure, references)))
        elif fact.appeal:
            additions.append((fact.appeal.filed, partial(_add_appeal, fact.appeal, references)))
        elif fact.reversal:
            additions.append((fact.reversal.at, partial(_add_reversal, fact.reversal, references)))
        elif fact.transfer:
            additions.append((fact.transfer.at, partial(_transfer, fact.transfer)))
    for at, add in sorted(additions, key=lambda item: item[0]):
        facts = add(facts, assess(facts, policies, calendar, at))
    return facts


@dataclass(frozen=True, slots=True)
class _References:
    """The prompts and changes that one fact refers to, in the assessment at its instant."""

    source: Source
    key: str

    def prompt(self, reference: str, assessment: Assessment) -> str:
        """`misses` is the latest prompt of that kind, `misses#2` the second."""
        kind, _, number = reference.partition("#")
        ids = [prompt.prompt_id for prompt in assessment.prompts if prompt.kind == kind]
        return self._nth(ids, number, "prompt", reference)

    def change(self, reference: int | str, assessment: Assessment) -> str:
        """`latest`, or the number of the change."""
        ids = [entry.entry_id for entry in assessment.ledger if entry.cause in SANCTIONS]
        return self._nth(ids, "" if reference == "latest" else str(reference), "change", reference)

    def _nth(self, ids: list[str], number: str, key: str, reference: object) -> str:
        position = int(number) - 1 if number.isdecimal() else -1
        if not ids or (number and not 0 <= position < len(ids)):
            self.source.unknown(f"{self.key}.{key}", reference)
        return ids[position]


def _add_delivery(
    fact: shape.Delivered, references: _References, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    new = PromptDelivery(references.prompt(fact.prompt, assessment), fact.at)
    return replace(facts, deliveries=(*facts.deliveries, new))


def _add_decision(
    fact: shape.DecisionFact, references: _References, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    prompt = references.prompt(fact.prompt, assessment)
    new = Decision(
        fact.id,
        prompt,
        fact.at,
        fact.by,
        fact.role,
        fact.outcome,
        fact.reasons,
        fact.found_reason,
        fact.found_text,
    )
    return replace(facts, decisions=(*facts.decisions, new))


def _add_acknowledgement(fact: shape.AcknowledgementFact, facts: StudentFacts, _: Assessment) -> StudentFacts:
    new = Acknowledgement(fact.decision, fact.at, fact.by, fact.accepted)
    return replace(facts, acknowledgements=(*facts.acknowledgements, new))


def _add_closure(
    fact: shape.ClosureFact, references: _References, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    new = EvidenceClosure(references.prompt(fact.prompt, assessment), fact.at, fact.by)
    return replace(facts, evidence_closures=(*facts.evidence_closures, new))


def _add_appeal(
    fact: shape.AppealFact, references: _References, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    target, target_id = "gaokao", ""
    if fact.roll_call is not None:
        target, target_id = "check", fact.roll_call
    elif fact.change is not None:
        target, target_id = "change", references.change(fact.change, assessment)
    new = Appeal(
        fact.id,
        fact.by,
        target,
        target_id,
        fact.filed,
        fact.previous,
        fact.decided,
        fact.upheld,
        fact.finding,
    )
    return replace(facts, appeals=(*facts.appeals, new))


def _add_reversal(
    fact: shape.ReversalFact, references: _References, facts: StudentFacts, assessment: Assessment
) -> StudentFacts:
    new = Reversal(fact.id, references.change(fact.change, assessment), fact.at, fact.by, fact.reasons)
    return replace(facts, reversals=(*facts.reversals, new))


def _transfer(fact: shape.TransferFact, facts: StudentFacts, assessment: Assessment) -> StudentFacts:
    """Split the facts into those of the earlier school and those of the new one, and carry the former over."""
    at = fact.at
    earlier = replace(
        facts,
        checks=tuple(check for check in facts.checks if check.closes_at <= at),
        leaves=tuple(leave for leave in facts.leaves if leave.filed_at < at),
        attendance=tuple(record for record in facts.attendance if record.at <= at),
        outages=tuple(outage for outage in facts.outages if outage.starts_at < at),
        edits=tuple(edit for edit in facts.edits if edit.at <= at),
        approvals=tuple(approval for approval in facts.approvals if approval.at <= at),
    )
    own = StudentFacts(
        student_id=f"{facts.student_id}/{fact.id}",
        initial=facts.initial,
        terms=facts.terms,
        checks=_without(facts.checks, earlier.checks),
        leaves=_without(facts.leaves, earlier.leaves),
        claims=facts.claims,
        outages=facts.outages,
        attendance=_without(facts.attendance, earlier.attendance),
        edits=_without(facts.edits, earlier.edits),
        approvals=_without(facts.approvals, earlier.approvals),
        calendar_loads=facts.calendar_loads,
        leave_answers=facts.leave_answers,
    )
    transfer = Transfer(at, closed_by="", opened_by=fact.id)
    opened = open_record(own, transfer)
    return carry_facts(opened, without_closing(earlier, transfer), assessment, transfer)


def _without(facts: tuple[T, ...], others: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(fact for fact in facts if fact not in others)
