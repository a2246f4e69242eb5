"""Which appeals stand and how each ended (HN334-4.2). The deciding itself is a person's; this holds the order of it."""

from datetime import datetime
from enum import StrEnum

from backend.standing.engine.facts import Appeal, StudentFacts

TARGETS = frozenset({"check", "change", "gaokao"})


class AppealState(StrEnum):
    OPEN = "open"
    UPHELD = "upheld"
    REJECTED = "rejected"


def appeal_state(appeal: Appeal, as_of: datetime) -> AppealState:
    """How a filed appeal stands at the instant."""
    if appeal.decided_at is None or as_of < appeal.decided_at:
        return AppealState.OPEN
    return AppealState.UPHELD if appeal.upheld else AppealState.REJECTED


def appeal_objection(appeal: Appeal, facts: StudentFacts, levels: int) -> str | None:
    """Why the appeal is not admissible, or None: one appeal for each appellant and matter, one level up once."""
    earlier = [other for other in facts.appeals if other is not appeal and _before(other, appeal)]
    if appeal.target not in TARGETS:
        return "unknown_target"
    if appeal.target == "check" and not _closed(appeal, facts):
        return "no_result_yet"
    same = [
        other
        for other in earlier
        if (other.appellant, other.target, other.target_id)
        == (appeal.appellant, appeal.target, appeal.target_id)
    ]
    if appeal.previous is None:
        return "already_appealed" if same else None
    previous = next((other for other in same if other.appeal_id == appeal.previous), None)
    if previous is None or appeal_state(previous, appeal.filed_at) is not AppealState.REJECTED:
        return "previous_not_rejected"
    if any(other.previous == appeal.previous for other in same):
        return "already_carried_up"
    return "appeal_exhausted" if _level(appeal, facts) > levels else None


def _before(other: Appeal, appeal: Appeal) -> bool:
    return (other.filed_at, other.appeal_id) < (appeal.filed_at, appeal.appeal_id)


def _closed(appeal: Appeal, facts: StudentFacts) -> bool:
    return any(
        check.check_id == appeal.target_id and check.closes_at <= appeal.filed_at for check in facts.checks
    )


def _level(appeal: Appeal, facts: StudentFacts) -> int:
    by_id = {other.appeal_id: other for other in facts.appeals}
    level, seen = 1, {appeal.appeal_id}
    while appeal.previous is not None and appeal.previous not in seen and appeal.previous in by_id:
        seen.add(appeal.previous)
        appeal = by_id[appeal.previous]
        level += 1
    return level
