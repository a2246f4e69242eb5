"""What stops an automatic execution, each by its name (reading 12). The law says which of them apply."""

from datetime import datetime

from backend.leave.rules import Exemption, LeaveState, exempts
from backend.roll_call.rules import Outcome
from backend.standing.engine.appeals import AppealState, appeal_objection, appeal_state
from backend.standing.engine.facts import Outage, RollCallFact, StudentFacts
from backend.standing.engine.misses import check_key, result_at
from backend.standing.engine.prompts import Prompt, PromptState
from backend.standing.policy import StandingPolicy

CALENDAR_YEAR_MISSING = "calendar_year_missing"
NOTICE, SUBMISSIONS = "notice", "submissions"


def evidence_checks(prompt: Prompt, facts: StudentFacts) -> tuple[RollCallFact, ...]:
    """The checks that a prompt rests on."""
    return tuple(check for check in facts.checks if check_key(check.check_id) in prompt.evidence)


def blockers(prompt: Prompt, facts: StudentFacts, law: StandingPolicy, as_of: datetime) -> tuple[str, ...]:
    """The blockers that hold at the instant, in the order of the law; a missing calendar year always holds."""
    checks = evidence_checks(prompt, facts)
    holds = {
        "open_appeal": _open_appeal(facts, law, as_of),
        "open_reason_claim": prompt.state is PromptState.DISMISSAL_PENDING or _open_claim(facts, law, as_of),
        "pending_leave": any(leave.state(as_of) is LeaveState.PENDING for leave in facts.leaves),
        "declared_outage": any(_outage_blocks(outage, checks, as_of) for outage in facts.outages),
        "notice_undelivered": prompt.delivered_at is None
        or any(not notice_in_time(check, law, as_of) for check in checks),
        "incomplete_evidence": any(missing_evidence(check, law, as_of) for check in checks),
    }
    found = [name for name in law.blockers if holds[name]]
    if prompt.deadline is not None and prompt.deadline.missing_year is not None:
        found.append(f"{CALENDAR_YEAR_MISSING}:{prompt.deadline.missing_year}")
    return tuple(found)


def sanction_objections(
    prompt: Prompt, facts: StudentFacts, law: StandingPolicy, as_of: datetime
) -> tuple[str, ...]:
    """Why no sanction at all can rest on the prompt yet, whoever decides (invariant 7)."""
    if prompt.delivered_at is None:
        return ("prompt_not_delivered",)
    checks = evidence_checks(prompt, facts)
    found = []
    if any(not notice_in_time(check, law, as_of) for check in checks):
        found.append("notice_undelivered")
    if any(missing_evidence(check, law, as_of) for check in checks):
        found.append("incomplete_evidence")
    return tuple(found)


def notice_in_time(check: RollCallFact, law: StandingPolicy, as_of: datetime) -> bool:
    """Whether the notice reached the student while at least the minimum window was left."""
    at = check.notice_delivered_at
    known = check.notice_recorded_at or at
    return (
        at is not None
        and known is not None
        and known <= as_of
        and check.closes_at - max(at, check.opens_at) >= law.minimum_window
    )


def missing_evidence(check: RollCallFact, law: StandingPolicy, as_of: datetime) -> tuple[str, ...]:
    """The parts of evidence that the law asks for and the check does not carry yet, beside its notice."""
    late = frozenset({SUBMISSIONS} if check.evidence_since and as_of < check.evidence_since else ())
    on_file = check.evidence - late
    return tuple(part for part in law.required_evidence if part != NOTICE and part not in on_file)


def _open_appeal(facts: StudentFacts, law: StandingPolicy, as_of: datetime) -> bool:
    return any(
        appeal.filed_at <= as_of
        and appeal_state(appeal, as_of) is AppealState.OPEN
        and appeal_objection(appeal, facts, law.appeal_levels) is None
        for appeal in facts.appeals
    )


def _open_claim(facts: StudentFacts, law: StandingPolicy, as_of: datetime) -> bool:
    """A claim that is filed and not judged, or a miss with leave after the notice that nobody has judged yet."""
    filed = [claim for claim in facts.claims if claim.filed_at <= as_of]
    if any(claim.decided_at is None or as_of < claim.decided_at for claim in filed):
        return True
    judged = {claim.check_id for claim in filed if claim.leave_id is not None}
    return any(
        check.closes_at <= as_of
        and check.check_id not in judged
        and result_at(check, as_of) is Outcome.MISSED
        and exempts(facts.leaves, check.window, law.minimum_window, as_of) is Exemption.CLAIM
        for check in facts.checks
    )


def _outage_blocks(outage: Outage, checks: tuple[RollCallFact, ...], as_of: datetime) -> bool:
    """An outage that goes on, or one over a window of the evidence that the superior has not judged."""
    if as_of < outage.declared_at:
        return False
    judged = outage.decided_at is not None and outage.decided_at <= as_of
    if judged and not outage.approved:
        return False
    end = outage.end(as_of)
    if outage.starts_at <= as_of and (end is None or as_of < end):
        return True
    return not judged and any(
        outage.starts_at < check.closes_at and check.opens_at < (end or as_of) for check in checks
    )
