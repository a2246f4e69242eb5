"""The course of events: facts are replayed instant by instant, and the rules act where their time comes.

Nothing here depends on when it is run. A prompt is raised and a deadline ends at the instant at which the facts known
by then say so, so a daily job that was down for a week finds the same course as one that was not.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from backend.org.calendar import WorkingCalendar
from backend.standing.engine.absence import attendance_key
from backend.standing.engine.blockers import blockers
from backend.standing.engine.deadlines import deadline
from backend.standing.engine.decision_rules import (
    DISMISS,
    Role,
    acknowledgement_objection,
    decision_objections,
)
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Decision,
    Edit,
    PromptDelivery,
    Reversal,
    StudentFacts,
)
from backend.standing.engine.instants import Act, acts_by_instant, instants
from backend.standing.engine.ledger import Cause
from backend.standing.engine.misses import CheckStatus, check_key
from backend.standing.engine.prompts import Prompt, PromptState, raise_prompt
from backend.standing.engine.record import Record
from backend.standing.engine.triggers import (
    Snapshot,
    find_triggers,
    is_still_justified,
    leave_key,
    take_snapshot,
)
from backend.standing.policy import PolicyHistory, StandingPolicy

EXECUTE = "execute"


@dataclass(frozen=True, slots=True)
class AidRelease:
    """When the withdrawal of aid may follow a change: at once, or when its blockers are gone; None until then."""

    change_id: str
    at: datetime | None
    blockers: tuple[str, ...]


class Timeline:
    """The state that a replay builds up, up to one instant. Used by `rules.assess` alone."""

    def __init__(
        self, facts: StudentFacts, book: PolicyHistory, calendar: WorkingCalendar, as_of: datetime
    ) -> None:
        self.facts = facts
        self.book = book
        self.calendar = calendar
        self.record = Record(facts, book)
        self.prompts: dict[str, Prompt] = {}
        self.releases: dict[str, AidRelease] = {}
        self.now: Snapshot  # as of the instant reached; the last one is always `as_of`
        self._decisions = {decision.decision_id: decision for decision in facts.decisions}
        self._pending = [at for at in {*instants(facts), as_of} if at <= as_of]
        heapq.heapify(self._pending)
        self._run(as_of)

    def open_prompts(self) -> list[Prompt]:
        found = (prompt for prompt in self.prompts.values() if prompt.is_open)
        return sorted(found, key=lambda prompt: (prompt.raised_at, prompt.prompt_id))

    # --- the walk through time ---

    def _run(self, as_of: datetime) -> None:
        acts = acts_by_instant(self.facts)
        last: datetime | None = None
        while self._pending and self._pending[0] <= as_of:
            at = heapq.heappop(self._pending)
            if at != last:
                self._step(at, acts.get(at, ()))
            last = at

    def _wake(self, at: datetime | None, now: datetime) -> None:
        if at is not None and at > now:
            heapq.heappush(self._pending, at)

    def _step(self, at: datetime, acts: Sequence[Act]) -> None:
        """Acts on the record first, then the count, then acts on prompts, then what expires."""
        for act in acts:
            self._act_on_record(act, at)
        self._reassess(at)
        for act in acts:
            self._act_on_prompts(act)
        if acts:
            self._reassess(at)
        self._expire(at)
        self._release_aid(at)

    def _act_on_record(self, act: Act, at: datetime) -> None:
        match act:
            case Edit():
                if self.record.edit(act):
                    self._answer_for_the_past(act.at)
            case Reversal():
                self.record.take_back(act)
            case Appeal():
                self.record.appeal(act, at)

    def _act_on_prompts(self, act: Act) -> None:
        match act:
            case PromptDelivery():
                self._deliver(act)
            case Decision():
                self._decide(act)
            case Acknowledgement():
                self._acknowledge(act)

    def _answer_for_the_past(self, at: datetime) -> None:
        """Whoever is brought back into full-time study is not sanctioned again for what has been answered for."""
        now = take_snapshot(self.facts, self.book, self.calendar, self.record.strikes, at)
        missed = [check_key(link.check.check_id) for link in now.links if link.place is CheckStatus.MISSED]
        leaves = [leave_key(leave.leave_id) for leave in self.facts.leaves if leave.starts_at <= at]
        absent = [attendance_key(record.record_id) for record in self.facts.attendance if record.at <= at]
        self.record.strike((*missed, *leaves, *absent), "answered")

    # --- prompts ---

    def _reassess(self, at: datetime) -> None:
        """Recount; withdraw what has lost its basis; raise what has one and is not open yet."""
        self.now = take_snapshot(self.facts, self.book, self.calendar, self.record.strikes, at)
        owes = self.record.owes_presence(at)
        for prompt in self.open_prompts():
            if not owes:
                self._keep(prompt.closed(PromptState.WITHDRAWN, at, "standing_changed"))
            elif not is_still_justified(prompt, self.now):
                self._keep(prompt.closed(PromptState.WITHDRAWN, at, "basis_gone"))
        if not owes:
            return
        taken = {(prompt.kind, prompt.term) for prompt in self.open_prompts()}
        for finding in find_triggers(self.now):
            if (finding.kind, finding.term) not in taken:
                taken.add((finding.kind, finding.term))
                self._keep(raise_prompt(self.facts.student_id, finding, at))
        if self.now.spell is not None:
            self._wake(self.now.spell.prompt_at, at)

    def _keep(self, prompt: Prompt) -> None:
        self.prompts[prompt.prompt_id] = prompt

    def _deliver(self, delivery: PromptDelivery) -> None:
        prompt = self.prompts.get(delivery.prompt_id)
        if prompt is None or not prompt.is_open:
            state = "unknown" if prompt is None else prompt.state.value
            self.record.refuse(f"delivery:{delivery.prompt_id}", delivery.delivered_at, f"prompt_{state}")
        elif prompt.delivered_at is None:
            running = PromptState.RUNNING if prompt.dismissal is None else prompt.state
            self._keep(replace(prompt, state=running, delivered_at=delivery.delivered_at))

    # --- decisions ---

    def _decide(self, decision: Decision) -> None:
        key = f"decision:{decision.decision_id}"
        prompt = self.prompts.get(decision.prompt_id)
        if prompt is None:
            self.record.refuse(key, decision.at, "prompt_unknown")
            return
        law = self.book.on(prompt.event_day)
        objections = decision_objections(decision, prompt, self.facts, law, decision.at)
        if objections:
            self.record.refuse(key, decision.at, *objections)
        elif decision.outcome != DISMISS:
            self.record.sanction(prompt, decision.outcome, Cause.DECISION, decision.decision_id, decision.at)
            self._keep(prompt.closed(PromptState.DECIDED, decision.at, decision.decision_id))
        elif decision.role == Role.SUPERIOR:
            self._dismiss(prompt, decision.decision_id, decision.at)
        else:
            self._keep(replace(prompt, state=PromptState.DISMISSAL_PENDING, dismissal=decision.decision_id))

    def _acknowledge(self, answer: Acknowledgement) -> None:
        decision = self._decisions.get(answer.decision_id)
        prompt = self.prompts.get(decision.prompt_id) if decision else None
        objection = acknowledgement_objection(answer, decision, prompt)
        if objection is not None or prompt is None:
            self.record.refuse(f"acknowledgement:{answer.decision_id}", answer.at, objection or "")
        elif answer.accepted:
            self._dismiss(prompt, answer.decision_id, answer.at)
        else:
            again = PromptState.RUNNING if prompt.delivered_at else PromptState.UNDELIVERED
            self._keep(replace(prompt, state=again, dismissal=None))

    def _dismiss(self, prompt: Prompt, decision_id: str, at: datetime) -> None:
        """The found reason is a justified reason for everything the prompt rests on."""
        self.record.strike(prompt.evidence, "dismissed")
        self._keep(prompt.closed(PromptState.DISMISSED, at, decision_id))

    # --- expiry ---

    def _expire(self, at: datetime) -> None:
        for opened in self.open_prompts():
            prompt = self.prompts[opened.prompt_id]
            if not prompt.is_open:
                continue  # an execution before it in this very round withdrew it
            law = self.book.on(prompt.event_day)
            if prompt.delivered_at is not None:
                due = deadline(prompt.delivered_at, law, self.calendar, self.facts.calendar_loads, at)
                prompt = replace(prompt, deadline=due)
                self._wake(due.at, at)
            prompt = replace(prompt, blockers=blockers(prompt, self.facts, law, at))
            self._keep(prompt)
            if prompt.state in {PromptState.RUNNING, PromptState.BLOCKED} and _ended(prompt, at):
                self._on_expiry(prompt, law, at)

    def _on_expiry(self, prompt: Prompt, law: StandingPolicy, at: datetime) -> None:
        """Reading 12: the policy of the event day executes what the prompt proposed, or hands it to the superior."""
        if law.on_expiry != EXECUTE:
            self._keep(replace(prompt, state=PromptState.ESCALATED))
        elif prompt.blockers:
            self._keep(replace(prompt, state=PromptState.BLOCKED))
        else:
            self.record.sanction(prompt, prompt.proposed, Cause.EXPIRY, "policy", at)
            self._keep(prompt.closed(PromptState.EXECUTED, at, "policy"))
            self._reassess(at)

    # --- aid ---

    def _release_aid(self, at: datetime) -> None:
        """Withdrawing aid waits for the same blockers as an execution (reading 12)."""
        for entry in self.record.in_force():
            known = self.releases.get(entry.entry_id)
            if entry.prompt_id is None or (known is not None and known.at is not None):
                continue
            prompt = self.prompts[entry.prompt_id]
            held = blockers(prompt, self.facts, self.book.on(prompt.event_day), at)
            self.releases[entry.entry_id] = AidRelease(entry.entry_id, None if held else at, held)


def _ended(prompt: Prompt, at: datetime) -> bool:
    """Whether the deadline has ended at the instant, and could be known to have."""
    due = prompt.deadline
    return due is not None and due.at is not None and due.at <= at
