"""When anything can change: the instants that the facts themselves name, and the acts that take effect at each."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from backend.leave.rules import midnights
from backend.roll_call.rules import Outcome
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Decision,
    Edit,
    PromptDelivery,
    Reversal,
    StudentFacts,
)

Act = Edit | Reversal | Appeal | PromptDelivery | Decision | Acknowledgement


def instants(facts: StudentFacts) -> set[datetime]:
    """Every instant at which counting anew could find something else, apart from deadlines and limits."""
    return {at for at in (*_of_checks(facts), *_of_leave(facts), *_of_acts(facts)) if at is not None}


def _of_checks(facts: StudentFacts) -> Iterable[datetime | None]:
    """A result says nothing before the close. Where nothing was ever missed, checks change nothing."""
    if not any(result.outcome is Outcome.MISSED for check in facts.checks for result in check.results):
        return
    for check in facts.checks:
        yield from (max(check.closes_at, result.at) for result in check.results)
        yield from (check.voided_at, check.notice_recorded_at, check.evidence_since)
        yield check.launched_at if check.replaces else None


def _of_leave(facts: StudentFacts) -> Iterable[datetime | None]:
    for leave in facts.leaves:
        yield from leave.instants()
        if leave.approved_at is not None:
            yield from midnights([(leave.starts_at, leave.ends_at)])


def _of_acts(facts: StudentFacts) -> Iterable[datetime | None]:
    yield from acts_by_instant(facts)
    for claim in facts.claims:
        yield from (claim.filed_at, claim.decided_at)
    for outage in facts.outages:
        yield from (outage.declared_at, outage.starts_at, outage.ends_at, outage.decided_at)
        yield outage.end_recorded_at
    for record in facts.attendance:
        yield record.recorded_at or record.at
    yield from (load.at for load in facts.calendar_loads)


def acts_by_instant(facts: StudentFacts) -> dict[datetime, Sequence[Act]]:
    """Acts by their instant, in the order in which they take effect within one. An appeal acts twice."""
    found: dict[datetime, list[Act]] = defaultdict(list)
    for edit in sorted(set(facts.edits), key=lambda item: item.edit_id):
        found[edit.at].append(edit)
    for reversal in sorted(set(facts.reversals), key=lambda item: item.reversal_id):
        found[reversal.at].append(reversal)
    for appeal in sorted(set(facts.appeals), key=lambda item: item.appeal_id):
        found[appeal.filed_at].append(appeal)
        if appeal.decided_at is not None:
            found[appeal.decided_at].append(appeal)
    for delivery in sorted(set(facts.deliveries), key=lambda item: item.prompt_id):
        found[delivery.delivered_at].append(delivery)
    for decision in sorted(set(facts.decisions), key=lambda item: item.decision_id):
        found[decision.at].append(decision)
    for answer in sorted(set(facts.acknowledgements), key=lambda item: item.decision_id):
        found[answer.at].append(answer)
    return dict(found)
