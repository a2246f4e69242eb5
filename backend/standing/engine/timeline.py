"""The timeline: replays a student's facts instant by instant and applies the rules at the instants they take effect.

HN334-4.1b (prompt, decision, expiry), 4.1d (aid); readings 12 (automatic execution), 14 (law of the event day).

Nothing here depends on when it runs. A prompt is raised, and a deadline expires, at the instant at which the facts
known by then call for it. A daily job that was down for a week therefore computes the same timeline.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from backend.core.clock import legal_day
from backend.leave.rules import TICK, day_starts
from backend.org.calendar import WorkingCalendar
from backend.roll_call.rules import Outcome
from backend.standing.engine.decision_rules import (
    DISMISS,
    Role,
    find_acknowledgement_objection,
    find_blockers,
    find_closure_objection,
    find_decision_objections,
    list_unproven_checks,
)
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Decision,
    Edit,
    EvidenceClosure,
    PromptDelivery,
    Reversal,
    StudentFacts,
    attendance_key,
    check_key,
    leave_key,
)
from backend.standing.engine.ledger import Cause, LedgerEntry, LedgerWriter
from backend.standing.engine.misses import EARLIER_TERM, CheckStatus
from backend.standing.engine.prompts import Prompt, PromptState, compute_deadline, raise_prompt
from backend.standing.engine.triggers import (
    Snapshot,
    find_triggers,
    has_basis,
    is_still_justified,
    rests_on_undetermined,
    take_snapshot,
)
from backend.standing.policy import PolicyHistory, StandingPolicy

EXECUTE = "execute"
CHANGE_WITHOUT_BASIS = "change_without_basis"

Act = Edit | Reversal | Appeal | PromptDelivery | Decision | Acknowledgement | EvidenceClosure


@dataclass(frozen=True, slots=True)
class AidRelease:
    """When aid may be withdrawn after a change; `at` is None while blockers remain."""

    change_id: str
    at: datetime | None
    blockers: tuple[str, ...]


class Timeline:
    """The state after all facts up to one instant. Used only by `assess`."""

    def __init__(
        self, facts: StudentFacts, policies: PolicyHistory, calendar: WorkingCalendar, as_of: datetime
    ) -> None:
        self.facts = facts
        self.policies = policies
        self.calendar = calendar
        self.ledger = LedgerWriter(facts, policies)
        self.prompts: dict[str, Prompt] = {}
        self.releases: dict[str, AidRelease] = {}
        self.snapshot: Snapshot  # at the instant reached so far; finally at `as_of`
        self._decisions = {decision.decision_id: decision for decision in facts.decisions}
        self._pending = [at for at in {*instants(facts), as_of} if at <= as_of]
        heapq.heapify(self._pending)
        self._run(as_of)

    def open_prompts(self) -> list[Prompt]:
        open_prompts = (prompt for prompt in self.prompts.values() if prompt.is_open)
        return sorted(open_prompts, key=lambda prompt: prompt.position)

    # --- the loop over all instants ---

    def _run(self, as_of: datetime) -> None:
        acts = acts_by_instant(self.facts)
        last: datetime | None = None
        while self._pending and self._pending[0] <= as_of:
            at = heapq.heappop(self._pending)
            if at != last:
                self._step(at, acts.get(at, ()))
            last = at

    def _schedule(self, at: datetime | None, now: datetime) -> None:
        """Stop at a future instant: a deadline, or the limit of an absence."""
        if at is not None and at > now:
            heapq.heappush(self._pending, at)

    def _step(self, at: datetime, acts: Sequence[Act]) -> None:
        """Let deadlines that end now expire, apply acts on the ledger, update the prompts, and apply acts on prompts.

        Then let those expire that the acts left without a blocker.
        """
        self._expire_at_deadline(at)
        for act in acts:
            self._apply_to_ledger(act, at)
        self._update_prompts(at)
        for act in acts:
            self._apply_to_prompts(act)
        if acts:
            self._update_prompts(at)
        self._expire_deadlines(at)
        self._release_aid(at)

    def _apply_to_ledger(self, act: Act, at: datetime) -> None:
        match act:
            case Edit():
                if self.ledger.apply_edit(act):
                    self._return_to_presence(act.at)
            case Reversal():
                self.ledger.apply_reversal(act)
            case Appeal():
                self.ledger.apply_appeal(act, at, partial(self._find_unfounded, at=at))

    def _apply_to_prompts(self, act: Act) -> None:
        match act:
            case PromptDelivery():
                self._deliver(act)
            case Decision():
                self._decide(act)
            case Acknowledgement():
                self._acknowledge(act)
            case EvidenceClosure():
                self._close_for_evidence(act)

    def _return_to_presence(self, at: datetime) -> None:
        """The student must attend again. Facts of this term go on counting, except those that a sanction answered.

        Reading 18: a return wipes nothing else. Counts belong to a term (reading 3), so facts of a term that ended
        before the return have no more effect.
        """
        self.ledger.settle_sanctions()
        over = (term.ends_on for term in self.facts.terms if term.ends_on < legal_day(at))
        since = max(over, default=None)
        if since is None:
            return
        snapshot = take_snapshot(self.facts, self.policies, self.calendar, self.ledger.exclusions, at)
        missed = [
            check_key(item.check.check_id)
            for item in snapshot.sequence
            if item.status is CheckStatus.MISSED and item.event_day <= since
        ]
        leaves = [
            leave_key(leave.leave_id) for leave in self.facts.leaves if legal_day(leave.starts_at) <= since
        ]
        absences = [
            key for period in snapshot.absence_periods for key, day in period.absences if day <= since
        ]
        self.ledger.exclude((*missed, *leaves, *absences), EARLIER_TERM)

    def _find_unfounded(self, appeal: Appeal, at: datetime) -> frozenset[str]:
        """The sanctions whose limit is no longer reached, if the appealed check took part in the count (reading 16)."""
        appealed = next((check for check in self.facts.checks if check.check_id == appeal.target_id), None)
        if appeal.target != "check" or appealed is None:
            return frozenset()
        snapshot = take_snapshot(self.facts, self.policies, self.calendar, self.ledger.exclusions, at)
        return frozenset(
            entry.entry_id
            for entry in self.ledger.sanctions_in_force()
            if self._first_evidence_at(entry) <= appealed.closes_at <= entry.at
            and not has_basis(self.prompts[entry.prompt_id or ""], snapshot)
        )

    def _first_evidence_at(self, entry: LedgerEntry) -> datetime:
        """When the first check or record in the evidence of a sanction took place; otherwise the sanction's instant."""
        facts = self.facts
        instants = {check_key(check.check_id): check.closes_at for check in facts.checks}
        instants |= {attendance_key(record.record_id): record.at for record in facts.attendance}
        return min((instants[key] for key in entry.trace.facts if key in instants), default=entry.at)

    # --- prompts ---

    def _update_prompts(self, at: datetime) -> None:
        """Count again, withdraw prompts that are no longer justified, and raise new ones."""
        self.snapshot = take_snapshot(self.facts, self.policies, self.calendar, self.ledger.exclusions, at)
        owes_presence = self.ledger.owes_presence(at)
        for prompt in self.open_prompts():
            if not owes_presence:
                self._put(prompt.close(PromptState.WITHDRAWN, at, "standing_changed"))
            elif not is_still_justified(prompt, self.snapshot):
                self._put(prompt.close(PromptState.WITHDRAWN, at, "basis_gone"))
        if not owes_presence:
            return
        open_kinds = {(prompt.kind, prompt.term) for prompt in self.open_prompts()}
        for trigger in find_triggers(self.snapshot):
            if (trigger.kind, trigger.term) not in open_kinds:
                open_kinds.add((trigger.kind, trigger.term))
                self._put(raise_prompt(self.facts.student_id, trigger, at))
        if self.snapshot.running_absence is not None:
            self._schedule(self.snapshot.running_absence.prompt_at, at)

    def _put(self, prompt: Prompt) -> None:
        self.prompts[prompt.prompt_id] = prompt

    def _deliver(self, delivery: PromptDelivery) -> None:
        prompt = self.prompts.get(delivery.prompt_id)
        if prompt is None or not prompt.is_open:
            why = f"prompt_{prompt.state}" if prompt is not None else "prompt_unknown"
            self.ledger.refuse(f"delivery:{delivery.prompt_id}", delivery.delivered_at, why)
        elif prompt.delivered_at is None:
            state = PromptState.RUNNING if prompt.dismissal is None else prompt.state
            self._put(replace(prompt, state=state, delivered_at=delivery.delivered_at))

    # --- decisions ---

    def _decide(self, decision: Decision) -> None:
        key = f"decision:{decision.decision_id}"
        prompt = self.prompts.get(decision.prompt_id)
        if prompt is None:
            self.ledger.refuse(key, decision.at, "prompt_unknown")
            return
        law = self.policies.on(prompt.event_day)
        prompt = replace(prompt, blockers=self._find_blockers(prompt, law, decision.at))
        objections = find_decision_objections(decision, prompt, self.facts, law, decision.at)
        if objections:
            self.ledger.refuse(key, decision.at, *objections)
        elif decision.outcome != DISMISS:
            self.ledger.append_sanction(
                prompt, decision.outcome, Cause.DECISION, decision.decision_id, decision.at
            )
            self._put(prompt.close(PromptState.DECIDED, decision.at, decision.decision_id))
        elif decision.role == Role.SUPERIOR:
            self._dismiss(prompt, decision.decision_id, decision.at)
        else:
            self._put(replace(prompt, state=PromptState.DISMISSAL_PENDING, dismissal=decision.decision_id))

    def _acknowledge(self, answer: Acknowledgement) -> None:
        decision = self._decisions.get(answer.decision_id)
        prompt = self.prompts.get(decision.prompt_id) if decision else None
        objection = find_acknowledgement_objection(answer, decision, prompt)
        if objection is not None or prompt is None:
            self.ledger.refuse(f"acknowledgement:{answer.decision_id}", answer.at, objection or "")
        elif answer.accepted:
            self._dismiss(prompt, answer.decision_id, answer.at)
        else:
            state = PromptState.RUNNING if prompt.delivered_at else PromptState.UNDELIVERED
            self._put(replace(prompt, state=state, dismissal=None, dismissal_refused_at=answer.at))

    def _dismiss(self, prompt: Prompt, decision_id: str, at: datetime) -> None:
        """The justified reason of a dismissal excludes all facts in the prompt's evidence."""
        self.ledger.exclude(prompt.evidence, "dismissed")
        self._put(prompt.close(PromptState.DISMISSED, at, decision_id))

    def _close_for_evidence(self, closure: EvidenceClosure) -> None:
        """Close a prompt that cannot be proven. Its unproven checks count no longer; the proven ones still do."""
        prompt = self.prompts.get(closure.prompt_id)
        law = self.policies.on(prompt.event_day) if prompt else None
        objection = find_closure_objection(prompt, self.facts, law, closure.at)
        if objection is not None or prompt is None or law is None:
            self.ledger.refuse(f"closure:{closure.prompt_id}", closure.at, objection or "")
            return
        self.ledger.exclude(list_unproven_checks(prompt, self.facts, law, closure.at), "evidence_incomplete")
        self._put(prompt.close(PromptState.WITHDRAWN, closure.at, "evidence_incomplete"))

    # --- expiry ---

    def _expire_at_deadline(self, at: datetime) -> None:
        """Let the deadlines that end at this instant expire by what was known before it.

        A deadline is exclusive: an act at its instant is late. Services save what has become due before they record an
        act at the same instant, so the replay must not let the act come first.
        """
        for opened in self.open_prompts():
            prompt = self.prompts[opened.prompt_id]
            if not prompt.is_open or prompt.deadline is None or prompt.deadline.at != at:
                continue
            law = self.policies.on(prompt.event_day)
            prompt = replace(prompt, blockers=self._find_blockers(prompt, law, at - TICK))
            self._put(prompt)
            if prompt.state is PromptState.RUNNING:
                self._expire(prompt, law, at)

    def _expire_deadlines(self, at: datetime) -> None:
        for opened in self.open_prompts():
            prompt = self.prompts[opened.prompt_id]
            if not prompt.is_open:
                continue  # withdrawn by an execution earlier in this loop
            law = self.policies.on(prompt.event_day)
            if prompt.delivered_at is not None:
                loads = self.facts.calendar_loads
                deadline = compute_deadline(
                    prompt.delivered_at, prompt.dismissal_refused_at, law, self.calendar, loads, at
                )
                prompt = replace(prompt, deadline=deadline)
                self._schedule(deadline.at, at)
            prompt = replace(prompt, blockers=self._find_blockers(prompt, law, at))
            self._put(prompt)
            waiting = prompt.state in {PromptState.RUNNING, PromptState.BLOCKED}
            if waiting and prompt.deadline is not None and prompt.deadline.has_passed(at):
                self._expire(prompt, law, at)

    def _find_blockers(self, prompt: Prompt, law: StandingPolicy, at: datetime) -> tuple[str, ...]:
        doubtful = rests_on_undetermined(prompt, self.snapshot)
        return find_blockers(prompt, self.facts, law, at, rests_on_undetermined=doubtful)

    def _expire(self, prompt: Prompt, law: StandingPolicy, at: datetime) -> None:
        """Execute what the prompt proposed, or escalate to the superior, by the policy of its day (reading 12)."""
        if law.on_expiry != EXECUTE:
            self._put(replace(prompt, state=PromptState.ESCALATED))
        elif prompt.blockers:
            self._put(replace(prompt, state=PromptState.BLOCKED))
        else:
            self.ledger.append_sanction(prompt, prompt.proposed, Cause.EXPIRY, "policy", at)
            self._put(prompt.close(PromptState.EXECUTED, at, "policy"))
            self._update_prompts(at)

    # --- aid ---

    def _release_aid(self, at: datetime) -> None:
        """Aid is withdrawn only when no blocker of an execution remains (HN334-4.1d, reading 12).

        A change that lost its basis in the meantime withdraws nothing: the superior or an appeal will reverse it.
        """
        for entry in self.ledger.sanctions_in_force():
            known = self.releases.get(entry.entry_id)
            if entry.prompt_id is None or (known is not None and known.at is not None):
                continue
            prompt = self.prompts[entry.prompt_id]
            blockers = self._find_blockers(prompt, self.policies.on(prompt.event_day), at)
            if not has_basis(prompt, self.snapshot):
                blockers = (*blockers, CHANGE_WITHOUT_BASIS)
            self.releases[entry.entry_id] = AidRelease(entry.entry_id, None if blockers else at, blockers)


# --- the instants at which something can change ---


def instants(facts: StudentFacts) -> set[datetime]:
    """Every instant at which counting again can give another result, apart from deadlines and absence limits."""
    all_instants = (*_check_instants(facts), *_leave_instants(facts), *_other_instants(facts))
    return {at for at in all_instants if at is not None}


def _check_instants(facts: StudentFacts) -> Iterable[datetime | None]:
    """A result has no effect before the check closes. Without any miss, checks have no effect at all."""
    if not any(result.outcome is Outcome.MISSED for check in facts.checks for result in check.results):
        return
    for check in facts.checks:
        yield from (max(check.closes_at, result.at) for result in check.results)
        yield from (check.voided_at, check.notice_recorded_at, check.evidence_since)
        yield check.launched_at if check.replaces else None
        yield from (item.at for item in check.completed)


def _leave_instants(facts: StudentFacts) -> Iterable[datetime | None]:
    for leave in facts.leaves:
        yield from leave.instants()
        if leave.approved_at is not None:
            yield from day_starts([(leave.starts_at, leave.ends_at)])


def _other_instants(facts: StudentFacts) -> Iterable[datetime | None]:
    yield from acts_by_instant(facts)
    for claim in facts.claims:
        yield from (claim.filed_at, claim.decided_at)
    for outage in facts.outages:
        yield from (outage.declared_at, outage.starts_at, outage.ends_at, outage.decided_at)
        yield outage.end_recorded_at
    for record in facts.attendance:
        yield record.recorded_at or record.at
    yield from (answer.at for answer in facts.leave_answers)
    yield from (load.at for load in facts.calendar_loads)


def acts_by_instant(facts: StudentFacts) -> dict[datetime, Sequence[Act]]:
    """Acts by instant, each list in the order in which they take effect. An appeal acts when filed and when decided."""
    acts: dict[datetime, list[Act]] = defaultdict(list)
    for edit in sorted(set(facts.edits), key=lambda item: item.edit_id):
        acts[edit.at].append(edit)
    for reversal in sorted(set(facts.reversals), key=lambda item: item.reversal_id):
        acts[reversal.at].append(reversal)
    for appeal in sorted(set(facts.appeals), key=lambda item: item.appeal_id):
        acts[appeal.filed_at].append(appeal)
        if appeal.decided_at is not None:
            acts[appeal.decided_at].append(appeal)
    for delivery in sorted(set(facts.deliveries), key=lambda item: item.prompt_id):
        acts[delivery.delivered_at].append(delivery)
    for decision in sorted(set(facts.decisions), key=lambda item: item.decision_id):
        acts[decision.at].append(decision)
    for answer in sorted(set(facts.acknowledgements), key=lambda item: item.decision_id):
        acts[answer.at].append(answer)
    for closure in sorted(set(facts.evidence_closures), key=lambda item: item.prompt_id):
        acts[closure.at].append(closure)
    return dict(acts)
