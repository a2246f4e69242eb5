"""The student's record as it is written: entries, their reversal, the lock, and what was taken out of the count.

HN334-4.1c, 4.2; readings 11 and 12.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from backend.core.clock import legal_day
from backend.roll_call.rules import ACTIVE_STANDINGS
from backend.standing.engine.appeals import appeal_objection
from backend.standing.engine.facts import Appeal, Edit, Reversal, Status, StudentFacts
from backend.standing.engine.ledger import Cause, Entry, apply_writes, in_force, replay
from backend.standing.engine.misses import Exclusions, check_key
from backend.standing.engine.prompts import Prompt, derived_id
from backend.standing.engine.trace import DECIDED, EDITED, EXPIRY, RESTORED, trace
from backend.standing.policy import PolicyHistory


@dataclass(frozen=True, slots=True)
class Refused:
    """A recorded act that had no effect, and why."""

    fact: str
    at: datetime
    reasons: tuple[str, ...]


class Record:
    """What acts have written so far; built up by one replay and never shared."""

    def __init__(self, facts: StudentFacts, book: PolicyHistory) -> None:
        self.facts = facts
        self.book = book
        self.ledger: list[Entry] = []
        self.refused: list[Refused] = []
        self._used_approvals: set[str] = set()
        self._out: dict[str, str] = {}
        self._present: set[str] = set()

    @property
    def status(self) -> Status:
        return replay(self.facts.initial, self.ledger)

    @property
    def strikes(self) -> Exclusions:
        return Exclusions(dict(self._out), frozenset(self._present))

    def in_force(self) -> tuple[Entry, ...]:
        return in_force(self.ledger)

    def owes_presence(self, at: datetime, status: Status | None = None) -> bool:
        """Whether a student of this status (the present one unless told) is verified and attends."""
        asked = status or self.status
        forms = self.book.on(legal_day(at)).verified_study_forms
        return asked.study_form in forms and asked.standing in ACTIVE_STANDINGS

    def open_approvals(self, at: datetime) -> tuple[str, ...]:
        """The province's approvals that no change has used up."""
        granted = {approval.approval_id for approval in self.facts.approvals if approval.at <= at}
        return tuple(sorted(granted - self._used_approvals))

    def strike(self, keys: Iterable[str], why: str) -> None:
        """Take facts out of every count; the first reason stays."""
        for key in keys:
            self._out.setdefault(key, why)

    def refuse(self, fact: str, at: datetime, *reasons: str) -> None:
        self.refused.append(Refused(fact, at, reasons))

    # --- changes that a prompt causes ---

    def sanction(self, prompt: Prompt, outcome: str, cause: Cause, by: str, at: datetime) -> None:
        """Write the outcome of a prompt, decided or expired, under the law of its event day."""
        law = self.book.on(prompt.event_day)
        effect = law.effects[outcome]
        writes = (effect.standing, effect.study_form)
        self.ledger.append(
            Entry(
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
                trace=trace(DECIDED if cause is Cause.DECISION else EXPIRY, law, at, prompt.evidence),
            )
        )

    def _reverse(self, entry: Entry, cause: Cause, by: str, at: datetime) -> None:
        """A counter-entry: the status is that of a replay without the reversed change."""
        self.ledger.append(
            Entry(
                entry_id=derived_id("reversal", (entry.entry_id, cause, by, at)),
                at=at,
                cause=cause,
                caused_by=by,
                outcome="restored",
                change_kind="",
                writes=(None, None),
                before=self.status,
                after=replay(self.facts.initial, self.ledger, frozenset({entry.entry_id})),
                prompt_id=entry.prompt_id,
                reverses=entry.entry_id,
                trace=trace(
                    RESTORED,
                    self.book.on(legal_day(at)),
                    at,
                    (f"change:{entry.entry_id}", f"{cause.value}:{by}"),
                ),
            )
        )

    def take_back(self, reversal: Reversal) -> None:
        """The authority reverses its automatic execution; a person's decision is undone by an appeal."""
        key = f"reversal:{reversal.reversal_id}"
        entry = next((item for item in self.in_force() if item.entry_id == reversal.change_id), None)
        if entry is None:
            self.refuse(key, reversal.at, "no_such_change_in_force")
        elif entry.cause is not Cause.EXPIRY:
            self.refuse(key, reversal.at, "not_automatic")
        else:
            self.strike(entry.trace.facts, "reversed")
            self._reverse(entry, Cause.REVERSAL, reversal.reversal_id, reversal.at)

    # --- appeals ---

    def appeal(self, appeal: Appeal, at: datetime) -> None:
        """An inadmissible appeal is said so when it is filed; one that is upheld restores when it is decided."""
        objection = self._appeal_objection(appeal)
        if objection is not None:
            if at == appeal.filed_at:
                self.refuse(f"appeal:{appeal.appeal_id}", at, objection)
        elif appeal.upheld and at == appeal.decided_at:
            self._uphold(appeal, at)

    def _appeal_objection(self, appeal: Appeal) -> str | None:
        levels = self.book.on(legal_day(appeal.filed_at)).appeal_levels
        known = {entry.entry_id for entry in self.ledger if entry.at <= appeal.filed_at}
        if appeal.target == "change" and appeal.target_id not in known:
            return "no_such_change"
        return appeal_objection(appeal, self.facts, levels)

    def _uphold(self, appeal: Appeal, at: datetime) -> None:
        """What rests on an overturned result falls with it; an overturned change takes its misses along."""
        key = check_key(appeal.target_id)
        if appeal.target == "check" and appeal.finding == "present":
            self._present.add(appeal.target_id)
        elif appeal.target == "check":
            self.strike((key,), "appeal_upheld")
        for entry in self.in_force():
            overturned = appeal.target == "change" and entry.entry_id == appeal.target_id
            if overturned:
                self.strike(entry.trace.facts, "appeal_upheld")
            if overturned or (appeal.target == "check" and key in entry.trace.facts):
                self._reverse(entry, Cause.APPEAL, appeal.appeal_id, at)

    # --- changes that no prompt causes ---

    def edit(self, edit: Edit) -> bool:
        """Write a change of the record unless it is locked; True if it brings the student back to owe presence."""
        law = self.book.on(legal_day(edit.at))
        key = f"edit:{edit.edit_id}"
        if edit.item in law.locked_items and self.in_force() and not self._use_approval(edit):
            self.refuse(key, edit.at, "locked")
            return False
        before, writes = self.status, (edit.standing, edit.study_form)
        after = apply_writes(before, writes)
        self.ledger.append(
            Entry(
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
                trace=trace(EDITED, law, edit.at, (key,)),
            )
        )
        return not self.owes_presence(edit.at, before) and self.owes_presence(edit.at, after)

    def _use_approval(self, edit: Edit) -> bool:
        """One approval of the province unlocks one change (HN334-4.1c)."""
        if edit.approval_id is None or edit.approval_id not in self.open_approvals(edit.at):
            return False
        self._used_approvals.add(edit.approval_id)
        return True
