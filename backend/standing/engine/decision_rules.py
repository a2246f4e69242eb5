"""Decisions: who may decide what and when, what stops an automatic execution, which appeals are admissible.

HN334-4.1b (decisions), 4.2 (appeals); readings 10 (dismissals), 12 and 25 (blockers).
Every function returns the reasons against, as codes.
"""

from datetime import datetime
from enum import StrEnum

from backend.leave.rules import Exemption, LeaveInterval, LeaveState, find_exemption
from backend.roll_call.rules import Outcome
from backend.standing.engine.absence import list_late_leave
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Decision,
    Outage,
    RollCallFact,
    StudentFacts,
    check_key,
)
from backend.standing.engine.misses import find_reason_objection, latest_outcome
from backend.standing.engine.prompts import Prompt, PromptKind, PromptState
from backend.standing.policy import StandingPolicy

DISMISS = "dismiss"
CALENDAR_YEAR_MISSING = "calendar_year_missing"
NOTICE, SUBMISSIONS = "notice", "submissions"
TARGETS = frozenset({"check", "change", "gaokao"})
"""What an appeal can be against."""


# --- decisions of a person ---


class Role(StrEnum):
    REGISTRAR = "registrar"
    SUPERIOR = "superior"


DECIDER = {
    PromptState.UNDELIVERED: Role.REGISTRAR,
    PromptState.RUNNING: Role.REGISTRAR,
    PromptState.BLOCKED: Role.REGISTRAR,
    PromptState.ESCALATED: Role.SUPERIOR,
}
"""Who decides a prompt in each state. In any other state it is closed, or a dismissal waits for its answer."""


def find_decision_objections(
    decision: Decision, prompt: Prompt, facts: StudentFacts, law: StandingPolicy, as_of: datetime
) -> tuple[str, ...]:
    """Every reason why the decision has no effect; empty if it is valid. `law` is that of the prompt's event day.

    `prompt.blockers` are those of the instant of the decision. A sanction despite a blocker needs reasons (reading 25).
    """
    decider = DECIDER.get(prompt.state)
    if decider is None:
        return (f"prompt_{prompt.state}",)
    if decision.role != decider:
        return (f"for_{decider}_to_decide",)
    if decision.outcome == DISMISS:
        objection = find_reason_objection(law, decision.found_reason, decision.found_text)
        return (objection,) if objection else ()
    if decision.outcome not in law.outcomes:
        return ("unknown_outcome",)
    objections = list(find_sanction_objections(prompt, facts, law, as_of))
    if decision.reasons.strip():
        return tuple(objections)
    if decision.outcome != prompt.proposed:
        objections.append("reasons_required")
    elif prompt.blockers and not objections:
        objections.append("blockers_unanswered")
    return tuple(objections)


def find_acknowledgement_objection(
    answer: Acknowledgement, decision: Decision | None, prompt: Prompt | None
) -> str | None:
    """Why the answer to a dismissal has no effect, or None. The person who dismissed must not answer."""
    if decision is None or prompt is None or prompt.dismissal != decision.decision_id:
        return "no_dismissal_pending"
    return "own_dismissal" if answer.by == decision.by else None


def find_sanction_objections(
    prompt: Prompt, facts: StudentFacts, law: StandingPolicy, as_of: datetime
) -> tuple[str, ...]:
    """Why the prompt cannot lead to any sanction yet, by a person or automatically (invariant 7)."""
    if prompt.delivered_at is None:
        return ("prompt_not_delivered",)
    checks = list_evidence_checks(prompt, facts)
    objections = []
    if any(not was_notice_in_time(check, law, as_of) for check in checks):
        objections.append("notice_undelivered")
    if any(list_missing_evidence(check, law, as_of) for check in checks):
        objections.append("incomplete_evidence")
    return tuple(objections)


# --- evidence ---


def list_evidence_checks(prompt: Prompt, facts: StudentFacts) -> tuple[RollCallFact, ...]:
    """The checks in the prompt's evidence."""
    return tuple(check for check in facts.checks if check_key(check.check_id) in prompt.evidence)


def was_notice_in_time(check: RollCallFact, law: StandingPolicy, as_of: datetime) -> bool:
    """Whether the notice reached the student with at least the minimum window left.

    A superior's record of delivery proves it as well as a receipt.
    """
    receipt = (check.notice_delivered_at, check.notice_recorded_at or check.notice_delivered_at)
    records = [(item.delivered_at, item.at) for item in check.completed if item.part == NOTICE]
    return any(
        delivered_at is not None
        and known_at is not None
        and known_at <= as_of
        and check.closes_at - max(delivered_at, check.opens_at) >= law.minimum_window
        for delivered_at, known_at in (receipt, *records)
    )


def list_missing_evidence(check: RollCallFact, law: StandingPolicy, as_of: datetime) -> tuple[str, ...]:
    """The kinds of required evidence that the check does not have yet, other than its notice."""
    incomplete = frozenset({SUBMISSIONS} if check.evidence_since and as_of < check.evidence_since else ())
    completed = {item.part for item in check.completed if item.at <= as_of}
    on_file = (check.evidence - incomplete) | completed
    return tuple(part for part in law.required_evidence if part != NOTICE and part not in on_file)


def list_unproven_checks(
    prompt: Prompt, facts: StudentFacts, law: StandingPolicy, as_of: datetime
) -> tuple[str, ...]:
    """The keys of the prompt's checks whose notice or other evidence is incomplete."""
    return tuple(
        check_key(check.check_id)
        for check in list_evidence_checks(prompt, facts)
        if not was_notice_in_time(check, law, as_of) or list_missing_evidence(check, law, as_of)
    )


def find_closure_objection(
    prompt: Prompt | None, facts: StudentFacts, law: StandingPolicy | None, as_of: datetime
) -> str | None:
    """Why the superior cannot close the prompt for want of evidence, or None."""
    if prompt is None or law is None:
        return "prompt_unknown"
    if not prompt.is_open:
        return f"prompt_{prompt.state}"
    return None if list_unproven_checks(prompt, facts, law, as_of) else "evidence_complete"


# --- blockers of an automatic execution ---


def find_blockers(
    prompt: Prompt, facts: StudentFacts, law: StandingPolicy, as_of: datetime, *, rests_on_undetermined: bool
) -> tuple[str, ...]:
    """What blocks an automatic execution at the instant (reading 12).

    `rests_on_undetermined`: the limit is reached only if an undetermined check is not a pass (reading 16).
    The law says which blockers apply, and in which order; a missing calendar year always blocks.
    """
    checks = list_evidence_checks(prompt, facts)
    blocks = {
        "open_appeal": _has_open_appeal(facts, law, as_of),
        "open_reason_claim": prompt.state is PromptState.DISMISSAL_PENDING
        or _has_open_claim(facts, law, as_of)
        or bool(list_open_leave_claims(prompt, facts, as_of)),
        "pending_leave": any(leave.state(as_of) is LeaveState.PENDING for leave in facts.leaves),
        "declared_outage": any(_outage_blocks(outage, checks, as_of) for outage in facts.outages),
        "notice_undelivered": prompt.delivered_at is None
        or any(not was_notice_in_time(check, law, as_of) for check in checks),
        "incomplete_evidence": any(list_missing_evidence(check, law, as_of) for check in checks),
        "undetermined_check": rests_on_undetermined,
    }
    blockers = [name for name in law.blockers if blocks[name]]
    if prompt.deadline is not None and prompt.deadline.missing_year is not None:
        blockers.append(f"{CALENDAR_YEAR_MISSING}:{prompt.deadline.missing_year}")
    return tuple(blockers)


def _has_open_appeal(facts: StudentFacts, law: StandingPolicy, as_of: datetime) -> bool:
    return any(
        appeal.filed_at <= as_of
        and appeal_state(appeal, as_of) is AppealState.OPEN
        and find_appeal_objection(appeal, facts, law.appeal_levels) is None
        for appeal in facts.appeals
    )


def _has_open_claim(facts: StudentFacts, law: StandingPolicy, as_of: datetime) -> bool:
    """Whether a claim is undecided, or a miss has leave filed after the notice for which no claim exists yet."""
    filed = [claim for claim in facts.claims if claim.filed_at <= as_of]
    if any(claim.decided_at is None or as_of < claim.decided_at for claim in filed):
        return True
    claimed = {claim.check_id for claim in filed if claim.leave_id is not None}
    return any(
        check.closes_at <= as_of
        and check.check_id not in claimed
        and latest_outcome(check, as_of) is Outcome.MISSED
        and find_exemption(facts.leaves, check.window, law.minimum_window, as_of) is Exemption.CLAIM
        for check in facts.checks
    )


def list_open_leave_claims(prompt: Prompt, facts: StudentFacts, as_of: datetime) -> tuple[LeaveInterval, ...]:
    """Leave filed too late for an absence of the prompt that waits for the superior's answer (reading 19)."""
    if prompt.kind is not PromptKind.ABSENCE:
        return ()
    answered = {answer.leave_id for answer in facts.leave_answers if answer.at <= as_of}
    late = list_late_leave(facts, prompt.evidence, as_of)
    return tuple(leave for leave in late if leave.leave_id not in answered)


def _outage_blocks(outage: Outage, checks: tuple[RollCallFact, ...], as_of: datetime) -> bool:
    """Whether the outage continues, or overlaps a check in the evidence and is not decided by the superior."""
    if as_of < outage.declared_at:
        return False
    decided = outage.decided_at is not None and outage.decided_at <= as_of
    if decided and not outage.approved:
        return False
    end = outage.end(as_of)
    if outage.starts_at <= as_of and (end is None or as_of < end):
        return True
    return not decided and any(
        outage.starts_at < check.closes_at and check.opens_at < (end or as_of) for check in checks
    )


# --- appeals ---


class AppealState(StrEnum):
    OPEN = "open"
    UPHELD = "upheld"
    REJECTED = "rejected"


def appeal_state(appeal: Appeal, as_of: datetime) -> AppealState:
    if appeal.decided_at is None or as_of < appeal.decided_at:
        return AppealState.OPEN
    return AppealState.UPHELD if appeal.upheld else AppealState.REJECTED


def find_appeal_objection(appeal: Appeal, facts: StudentFacts, levels: int) -> str | None:
    """Why the appeal is inadmissible, or None.

    Each appellant can appeal once in each matter, and take a rejected appeal to the next level once.
    """
    if appeal.target not in TARGETS:
        return "unknown_target"
    if appeal.target == "check" and not _check_has_closed(appeal, facts):
        return "no_result_yet"
    earlier = _list_earlier_appeals(appeal, facts)
    if appeal.previous is None:
        return "already_appealed" if earlier else None
    previous = next((other for other in earlier if other.appeal_id == appeal.previous), None)
    if previous is None or appeal_state(previous, appeal.filed_at) is not AppealState.REJECTED:
        return "previous_not_rejected"
    if any(other.previous == appeal.previous for other in earlier):
        return "already_carried_up"
    return "appeal_exhausted" if _appeal_level(appeal, facts) > levels else None


def _list_earlier_appeals(appeal: Appeal, facts: StudentFacts) -> list[Appeal]:
    """Earlier appeals of the same appellant in the same matter."""
    matter = (appeal.appellant, appeal.target, appeal.target_id)
    return [
        other
        for other in facts.appeals
        if other is not appeal
        and (other.filed_at, other.appeal_id) < (appeal.filed_at, appeal.appeal_id)
        and (other.appellant, other.target, other.target_id) == matter
    ]


def _check_has_closed(appeal: Appeal, facts: StudentFacts) -> bool:
    return any(
        check.check_id == appeal.target_id and check.closes_at <= appeal.filed_at for check in facts.checks
    )


def _appeal_level(appeal: Appeal, facts: StudentFacts) -> int:
    by_id = {other.appeal_id: other for other in facts.appeals}
    level, seen = 1, {appeal.appeal_id}
    while appeal.previous is not None and appeal.previous not in seen and appeal.previous in by_id:
        seen.add(appeal.previous)
        appeal = by_id[appeal.previous]
        level += 1
    return level
