"""What is on file goes with the person: the facts of the earlier school count on in the new one (reading 23). Pure.

A transfer closes the record of the earlier school (转出) and opens another one in the new school (转入). Prompts and
changes have ids that depend on the student's record, so facts that refer to those of the earlier record are rewritten.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from backend.leave.rules import LeaveInterval
from backend.standing.engine.assess import Assessment
from backend.standing.engine.decision_rules import DISMISS, Role
from backend.standing.engine.facts import Appeal, Decision, Edit, Outage, StudentFacts
from backend.standing.engine.ids import derived_id, prompt_id
from backend.standing.engine.ledger import Cause, LedgerEntry

TRANSFER_IN = "transfer_in"
"""The item of the edit that opens a record after a transfer. It changes no status and no lock covers it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer at an instant: the edit that closed the earlier record, and the one that opened the new one."""

    at: datetime
    closed_by: str
    opened_by: str


def without_closing(earlier: StudentFacts, transfer: Transfer) -> StudentFacts:
    """The facts of the earlier record as if it went on: without the edit that closed it, and what came after.

    A dismissal that the superior had not answered is left out: the new school decides on the prompt.
    """
    at = transfer.at
    used = {edit.approval_id for edit in earlier.edits if edit.edit_id == transfer.closed_by}
    answered = {answer.decision_id for answer in earlier.acknowledgements if answer.at <= at}
    return replace(
        earlier,
        decisions=tuple(
            each for each in earlier.decisions if not _is_dismissal(each) or each.decision_id in answered
        ),
        approvals=tuple(each for each in earlier.approvals if each.approval_id not in used),
        checks=tuple(check for check in earlier.checks if check.closes_at <= at),
        leaves=tuple(_end_leave(leave, at) for leave in earlier.leaves if leave.starts_at < at),
        attendance=tuple(record for record in earlier.attendance if record.at <= at),
        outages=tuple(_end_outage(outage, at) for outage in earlier.outages if outage.starts_at < at),
        edits=tuple(edit for edit in earlier.edits if edit.edit_id != transfer.closed_by and edit.at <= at),
    )


def carry_facts(
    own: StudentFacts, earlier: StudentFacts, assessed: Assessment, transfer: Transfer
) -> StudentFacts:
    """The facts of the new record with those of the earlier one.

    `earlier` is the result of `without_closing`, and `assessed` its assessment.
    """
    prompts = {
        prompt.prompt_id: prompt_id(
            own.student_id, prompt.kind, prompt.term, prompt.evidence, prompt.raised_at
        )
        for prompt in assessed.prompts
    }
    changes = _rename_changes(assessed.ledger, prompts, own.student_id)

    def prompt(earlier_id: str) -> str:
        return prompts.get(earlier_id, earlier_id)

    def change(earlier_id: str) -> str:
        return changes.get(earlier_id, earlier_id)

    return replace(
        own,
        initial=earlier.initial,
        checks=_merge(earlier.checks, own.checks),
        leaves=_merge(earlier.leaves, own.leaves),
        claims=_merge(earlier.claims, own.claims),
        outages=_merge(earlier.outages, (_begin_outage(each, transfer.at) for each in own.outages)),
        attendance=_merge(earlier.attendance, own.attendance),
        deliveries=_merge(
            (replace(each, prompt_id=prompt(each.prompt_id)) for each in earlier.deliveries), own.deliveries
        ),
        decisions=_merge(
            (replace(each, prompt_id=prompt(each.prompt_id)) for each in earlier.decisions), own.decisions
        ),
        acknowledgements=_merge(earlier.acknowledgements, own.acknowledgements),
        appeals=_merge((_rename_appeal(each, changes) for each in earlier.appeals), own.appeals),
        reversals=_merge(
            (replace(each, change_id=change(each.change_id)) for each in earlier.reversals), own.reversals
        ),
        edits=_merge(earlier.edits, own.edits),
        approvals=_merge(earlier.approvals, own.approvals),
        evidence_closures=_merge(
            (replace(each, prompt_id=prompt(each.prompt_id)) for each in earlier.evidence_closures),
            own.evidence_closures,
        ),
        leave_answers=_merge(earlier.leave_answers, own.leave_answers),
    )


def open_record(own: StudentFacts, transfer: Transfer) -> StudentFacts:
    """The facts with the edit that opens the record (change kind 22)."""
    return replace(own, edits=_merge(own.edits, (Edit(transfer.opened_by, transfer.at, TRANSFER_IN),)))


def _merge(earlier: Iterable[T], own: Iterable[T]) -> tuple[T, ...]:
    """All facts, each once."""
    return tuple(dict.fromkeys((*earlier, *own)))


def _rename_changes(
    ledger: Iterable[LedgerEntry], prompts: Mapping[str, str], student_id: str
) -> dict[str, str]:
    """The ids that the entries of the earlier ledger have in the new one. `ledger.py` derives them in the same way."""
    changes: dict[str, str] = {}
    for entry in ledger:
        if entry.reverses is not None:
            content: object = (changes[entry.reverses], entry.cause, entry.caused_by, entry.at)
            changes[entry.entry_id] = derived_id("reversal", content)
        elif entry.cause is Cause.EDIT:
            changes[entry.entry_id] = derived_id("edit", (student_id, entry.caused_by))
        else:
            content = (
                prompts[entry.prompt_id or ""],
                entry.cause,
                entry.caused_by,
                entry.outcome,
                entry.at,
            )
            changes[entry.entry_id] = derived_id("change", content)
    return changes


def _is_dismissal(decision: Decision) -> bool:
    return decision.outcome == DISMISS and decision.role != Role.SUPERIOR


def _rename_appeal(appeal: Appeal, changes: Mapping[str, str]) -> Appeal:
    return replace(appeal, target_id=changes.get(appeal.target_id, appeal.target_id))


def _end_leave(leave: LeaveInterval, at: datetime) -> LeaveInterval:
    return replace(leave, ends_at=min(leave.ends_at, at))


def _end_outage(outage: Outage, at: datetime) -> Outage:
    return replace(outage, ends_at=at if outage.ends_at is None else min(outage.ends_at, at))


def _begin_outage(outage: Outage, at: datetime) -> Outage:
    return replace(outage, starts_at=max(outage.starts_at, at))
