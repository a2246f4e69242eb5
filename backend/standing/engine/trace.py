"""The trace of a result: which rule, which instrument and version, which facts (reading 13), as canonical JSON."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class CitedFigure:
    """A figure that a rule used, and where it is written."""

    parameter: str
    value: object
    unit: str | None
    since: date
    place: str
    instrument: str
    article: str


@dataclass(frozen=True, slots=True)
class Trace:
    """How one result came about. `facts` are the ids of the facts it rests on, in the order of their events."""

    rule: str
    clause: str
    readings: tuple[str, ...]
    policy_version: str
    event_day: date
    at: datetime
    figures: tuple[CitedFigure, ...]
    facts: tuple[str, ...]


def trace(rule: "Rule", law: StandingPolicy, at: datetime, facts: Iterable[str]) -> Trace:
    """The trace of a rule applied at an instant under the law of its event day."""
    return Trace(
        rule.rule_id,
        rule.clause,
        rule.readings,
        law.policy.version,
        law.policy.day,
        at,
        tuple(_cited(law, parameter) for parameter in rule.parameters),
        tuple(facts),
    )


def _cited(law: StandingPolicy, parameter: str) -> CitedFigure:
    found = law.policy.reference(parameter)
    return CitedFigure(
        found.parameter,
        found.value,
        found.unit,
        found.since,
        found.place,
        found.reference.instrument,
        found.reference.article,
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of ours by its stable id, the clause it applies, and the figures it reads."""

    rule_id: str
    clause: str
    readings: tuple[str, ...]
    parameters: tuple[str, ...]


MISSES = Rule(
    "prompt.misses",
    "HN334-4.1b",
    ("R1", "R2", "R3"),
    (
        "misses.consecutive",
        "misses.cumulative",
        "roll_call.counted_kinds",
        "misses.counted_launchers",
        "decision.proposed_outcomes",
    ),
)
LEAVE_OVER_CAP = Rule(
    "prompt.leave_over_cap",
    "HN334-3.5b",
    ("R4",),
    ("leave.suspension_prompt_from", "leave.day_count", "decision.proposed_outcomes"),
)
ABSENCE = Rule(
    "prompt.absence_without_leave",
    "HN334-3.5c",
    ("R5",),
    ("absence.withdrawal_after", "decision.proposed_outcomes"),
)
EXPIRY = Rule(
    "decision.expiry",
    "HN334-4.1b",
    ("R7", "R12"),
    (
        "decision.deadline",
        "decision.on_expiry",
        "decision.expiry_blockers",
        "decision.required_evidence",
        "decision.outcome_effects",
    ),
)
DECIDED = Rule(
    "decision.person",
    "HN334-4.1b",
    ("R10", "R12"),
    ("decision.outcomes", "decision.required_evidence", "decision.outcome_effects"),
)
RESTORED = Rule("standing.restored", "HN334-4.2", ("R11", "R13"), ("lock.excludes",))
EDITED = Rule("standing.edited", "HN334-4.1c", ("R11",), ("lock.covers", "lock.excludes"))


_PLAIN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (BaseModel, lambda value: value.model_dump(mode="json")),
    (datetime, lambda value: value.astimezone(UTC).isoformat()),
    (date, lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (Mapping, dict),
    (frozenset, sorted),
)
"""How what JSON does not know is written: instants in UTC, days as ISO dates, sets in order."""


_writers: dict[type, Callable[[Any], object]] = {}
"""How values of a type are written; found once, since a picture has hundreds of them."""


def _plain(value: object) -> object:
    kind = type(value)
    if kind not in _writers:
        _writers[kind] = _writer(kind)
    return _writers[kind](value)


def _writer(kind: type) -> Callable[[Any], object]:
    if is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
        return lambda value: {name: getattr(value, name) for name in names}
    for known, written in _PLAIN:
        if issubclass(kind, known):
            return written
    raise TypeError(f"{kind.__name__} has no canonical form")


def canonical(value: object) -> str:
    """The same result gives the same bytes: sorted keys, no spaces, no escapes (invariant 6)."""
    return json.dumps(value, default=_plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def document(value: object) -> Any:
    """A result as plain JSON data, for storing and for showing."""
    return json.loads(canonical(value))
