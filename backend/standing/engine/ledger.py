"""The append-only ledger of a student's status, and the lock that follows from it.

HN334-4.1b (sanctions), 4.1c (lock), 4.2 (appeals); readings 11 (lock), 12 (one-step reversal), 18 (exclusions).

A reversal is a separate entry. The status after it is computed from all entries except the reversed one: later
approved changes stay in force, and nothing remains of the reversed change.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from backend.core.clock import legal_day
from backend.roll_call.rules import ACTIVE_STANDINGS
from backend.standing.engine.decision_rules import find_appeal_objection
from backend.standing.engine.facts import Appeal, Edit, Reversal, Status, StudentFacts, check_key
from backend.standing.engine.ids import derived_id
from backend.standing.engine.misses import ANSWERED, Exclusions
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import DECIDED, EDITED, EXPIRY, RESTORED, Trace, build_trace
from backend.standing.policy import PolicyHistory


class Cause(StrEnum):
    """What caused an entry."""

    DECISION = "decision"
    EXPIRY = "expiry"
    APPEAL = "appeal"
    REVERSAL = "reversal"
    EDIT = "edit"


SANCTIONS = frozenset({Cause.DECISION, Cause.EXPIRY})
FindUnfounded = Callable[[Appeal], Collection[str]]
"""Returns the ids of the sanctions in force that an upheld appeal leaves without basis."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One change of status. `writes` are the new standing and study form; None leaves a part unchanged."""

    entry_id: str
    at: datetime
    cause: Cause
    caused_by: str
    outcome: str
    change_kind: str
    writes: tuple[str | None, str | None]
    before: Status
    after: Status
    prompt_id: str | None
    reverses: str | None
    trace: Trace


@dataclass(frozen=True, slots=True)
class Lock:
    """The change that locks the record (None: unlocked), and the province's unused approvals."""

    locked_by: str | None
    open_approvals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RefusedAct:
    """A recorded act that had no effect, and why."""

    fact: str
    at: datetime
    reasons: tuple[str, ...]


# --- reading a ledger ---


def apply_writes(status: Status, writes: tuple[str | None, str | None]) -> Status:
    standing, study_form = writes
    return Status(standing or status.standing, study_form or status.study_form)


def reversed_ids(ledger: Sequence[LedgerEntry]) -> frozenset[str]:
    return frozenset(entry.reverses for entry in ledger if entry.reverses is not None)


def replay_status(
    initial: Status, ledger: Sequence[LedgerEntry], without: frozenset[str] = frozenset()
) -> Status:
    """The status after all entries, except those that were reversed and those in `without`."""
    ignored = reversed_ids(ledger) | without
    status = initial
    for entry in ledger:
        if entry.entry_id not in ignored and entry.reverses is None:
            status = apply_writes(status, entry.writes)
    return status


def sanctions_in_force(ledger: Sequence[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """The sanctions that have not been reversed."""
    reversed_entries = reversed_ids(ledger)
    return tuple(
        entry for entry in ledger if entry.cause in SANCTIONS and entry.entry_id not in reversed_entries
    )


# --- writing a ledger ---


class LedgerWriter:
    """The ledger while the timeline builds it, with the exclusions and refused acts that go with it."""

    def __init__(self, facts: StudentFacts, policies: PolicyHistory) -> None:
        self.facts = facts
        self.policies = policies
        self.entries: list[LedgerEntry] = []
        self.refused: list[RefusedAct] = []
        self._used_approvals: set[str] = set()
        self._excluded: dict[str, str] = {}
        self._answered: set[str] = set()
        self._present: set[str] = set()

    @property
    def status(self) -> Status:
        return replay_status(self.facts.initial, self.entries)

    @property
    def exclusions(self) -> Exclusions:
        answered = {
            key: ANSWERED
            for entry in self.sanctions_in_force()
            if entry.entry_id in self._answered
            for key in entry.trace.facts
        }
        return Exclusions(answered | self._excluded, frozenset(self._present))

    def sanctions_in_force(self) -> tuple[LedgerEntry, ...]:
        return sanctions_in_force(self.entries)

    def owes_presence(self, at: datetime, status: Status | None = None) -> bool:
        """Whether a student with this status (default: the current one) must attend roll calls."""
        status = status or self.status
        study_forms = self.policies.on(legal_day(at)).verified_study_forms
        return status.study_form in study_forms and status.standing in ACTIVE_STANDINGS

    def open_approvals(self, at: datetime) -> tuple[str, ...]:
        """The province's approvals that no change has used."""
        granted = {approval.approval_id for approval in self.facts.approvals if approval.at <= at}
        return tuple(sorted(granted - self._used_approvals))

    def exclude(self, keys: Iterable[str], why: str) -> None:
        """Exclude facts from counting; the first reason stays."""
        for key in keys:
            self._excluded.setdefault(key, why)

    def settle_sanctions(self) -> None:
        """The facts of the sanctions in force no longer count, until the sanction is reversed (reading 18)."""
        self._answered.update(entry.entry_id for entry in self.sanctions_in_force())

    def refuse(self, fact: str, at: datetime, *reasons: str) -> None:
        self.refused.append(RefusedAct(fact, at, reasons))

    # --- sanctions and reversals ---

    def append_sanction(self, prompt: Prompt, outcome: str, cause: Cause, by: str, at: datetime) -> None:
        """Append the outcome of a prompt, decided or expired, under the law of its event day."""
        law = self.policies.on(prompt.event_day)
        effect = law.effects[outcome]
        writes = (effect.standing, effect.study_form)
        self.entries.append(
            LedgerEntry(
                entry_id=derived_id("change", (prompt.prompt_id, cause, by, outcome, at)),
                at=at,
                cause=cause,
                caused_by=by,
                outcome=outcome,
                change_kind=effect.change_kind,
                writes=writes,
                before=self.status,
                after=apply_writes(self.status, writes),
                prompt_id=prompt.prompt_id,
                reverses=None,
                trace=build_trace(DECIDED if cause is Cause.DECISION else EXPIRY, law, at, prompt.evidence),
            )
        )

    def _append_reversal(self, entry: LedgerEntry, cause: Cause, by: str, at: datetime) -> None:
        facts = (f"change:{entry.entry_id}", f"{cause.value}:{by}")
        self.entries.append(
            LedgerEntry(
                entry_id=derived_id("reversal", (entry.entry_id, cause, by, at)),
                at=at,
                cause=cause,
                caused_by=by,
                outcome="restored",
                change_kind="",
                writes=(None, None),
                before=self.status,
                after=replay_status(self.facts.initial, self.entries, frozenset({entry.entry_id})),
                prompt_id=entry.prompt_id,
                reverses=entry.entry_id,
                trace=build_trace(RESTORED, self.policies.on(legal_day(at)), at, facts),
            )
        )

    def apply_reversal(self, reversal: Reversal) -> None:
        """The authority reverses an automatic execution. A person's decision can only be reversed by an appeal."""
        key = f"reversal:{reversal.reversal_id}"
        entry = next(
            (item for item in self.sanctions_in_force() if item.entry_id == reversal.change_id), None
        )
        if entry is None:
            self.refuse(key, reversal.at, "no_such_change_in_force")
        elif entry.cause is not Cause.EXPIRY:
            self.refuse(key, reversal.at, "not_automatic")
        else:
            self.exclude(entry.trace.facts, "reversed")
            self._append_reversal(entry, Cause.REVERSAL, reversal.reversal_id, reversal.at)

    # --- appeals ---

    def apply_appeal(self, appeal: Appeal, at: datetime, find_unfounded: FindUnfounded) -> None:
        """Refuse an inadmissible appeal when it is filed; apply an upheld appeal when it is decided.

        `find_unfounded` names the sanctions that lose their basis by the appeal; it counts with the current exclusions.
        """
        objection = self._appeal_objection(appeal)
        if objection is not None:
            if at == appeal.filed_at:
                self.refuse(f"appeal:{appeal.appeal_id}", at, objection)
        elif appeal.upheld and at == appeal.decided_at:
            self._uphold(appeal, at, find_unfounded)

    def _appeal_objection(self, appeal: Appeal) -> str | None:
        levels = self.policies.on(legal_day(appeal.filed_at)).appeal_levels
        known = {entry.entry_id for entry in self.entries if entry.at <= appeal.filed_at}
        if appeal.target == "change" and appeal.target_id not in known:
            return "no_such_change"
        return find_appeal_objection(appeal, self.facts, levels)

    def _uphold(self, appeal: Appeal, at: datetime, find_unfounded: FindUnfounded) -> None:
        """Reverse every sanction based on an overturned result; exclude the misses of an overturned sanction.

        A result outside the evidence can carry a sanction too: a pass between two misses ends their run (reading 16).
        """
        key = check_key(appeal.target_id)
        if appeal.target == "check" and appeal.finding == "present":
            self._present.add(appeal.target_id)
        elif appeal.target == "check":
            self.exclude((key,), "appeal_upheld")
        unfounded = find_unfounded(appeal)
        for entry in self.sanctions_in_force():
            overturned = appeal.target == "change" and entry.entry_id == appeal.target_id
            if overturned:
                self.exclude(entry.trace.facts, "appeal_upheld")
            based_on_result = appeal.target == "check" and key in entry.trace.facts
            if overturned or based_on_result or entry.entry_id in unfounded:
                self._append_reversal(entry, Cause.APPEAL, appeal.appeal_id, at)

    # --- edits ---

    def apply_edit(self, edit: Edit) -> bool:
        """Append an edit unless the record is locked. Returns True if the student must attend roll calls again."""
        law = self.policies.on(legal_day(edit.at))
        key = f"edit:{edit.edit_id}"
        if edit.item in law.locked_items and self.sanctions_in_force() and not self._use_approval(edit):
            self.refuse(key, edit.at, "locked")
            return False
        before, writes = self.status, (edit.standing, edit.study_form)
        after = apply_writes(before, writes)
        self.entries.append(
            LedgerEntry(
                entry_id=derived_id("edit", (self.facts.student_id, edit.edit_id)),
                at=edit.at,
                cause=Cause.EDIT,
                caused_by=edit.edit_id,
                outcome=edit.item,
                change_kind="",
                writes=writes,
                before=before,
                after=after,
                prompt_id=None,
                reverses=None,
                trace=build_trace(EDITED, law, edit.at, (key,)),
            )
        )
        return not self.owes_presence(edit.at, before) and self.owes_presence(edit.at, after)

    def _use_approval(self, edit: Edit) -> bool:
        """Use up one approval of the province, which unlocks one change (HN334-4.1c)."""
        if edit.approval_id is None or edit.approval_id not in self.open_approvals(edit.at):
            return False
        self._used_approvals.add(edit.approval_id)
        return True
