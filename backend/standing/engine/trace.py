"""Traces: by which rule, which figures of the law and which facts a result came about (reading 13).

Also the rules themselves, and the canonical JSON in which results are stored and compared (invariant 6).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class CitedFigure:
    """A figure that a rule used, and the article that sets it."""

    parameter: str
    value: object
    unit: str | None
    since: date
    place: str
    instrument: str
    article: str


@dataclass(frozen=True, slots=True)
class Trace:
    """How one result came about. `facts` are the keys of the underlying facts, in the order of their events."""

    rule: str
    clause: str
    readings: tuple[str, ...]
    policy_version: str
    event_day: date
    at: datetime
    figures: tuple[CitedFigure, ...]
    facts: tuple[str, ...]


def build_trace(rule: "Rule", law: StandingPolicy, at: datetime, facts: Iterable[str]) -> Trace:
    """The trace of applying a rule at an instant, under the law of its event day."""
    return Trace(
        rule.rule_id,
        rule.clause,
        rule.readings,
        law.policy.version,
        law.policy.day,
        at,
        tuple(_cite(law, parameter) for parameter in rule.parameters),
        tuple(facts),
    )


def _cite(law: StandingPolicy, parameter: str) -> CitedFigure:
    figure = law.policy.reference(parameter)
    return CitedFigure(
        figure.parameter,
        figure.value,
        figure.unit,
        figure.since,
        figure.place,
        figure.reference.instrument,
        figure.reference.article,
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the engine: its stable id, the clause it applies, and the parameters it reads."""

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
    ("R7", "R12", "R16", "R22"),
    (
        "decision.deadline",
        "decision.after_refused_dismissal",
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


# --- canonical JSON ---


_ENCODERS: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (BaseModel, lambda value: value.model_dump(mode="json")),
    (datetime, lambda value: value.astimezone(UTC).isoformat()),
    (date, lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (Mapping, dict),
    (frozenset, sorted),
)
"""How types without a JSON form are written: instants in UTC, days as ISO dates, sets sorted."""


_encoder_of_type: dict[type, Callable[[Any], object]] = {}
"""A cache: an assessment has hundreds of values of few types."""


def _encode(value: object) -> object:
    kind = type(value)
    if kind not in _encoder_of_type:
        _encoder_of_type[kind] = _find_encoder(kind)
    return _encoder_of_type[kind](value)


def _find_encoder(kind: type) -> Callable[[Any], object]:
    if is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
        return lambda value: {name: getattr(value, name) for name in names}
    for known, encode in _ENCODERS:
        if issubclass(kind, known):
            return encode
    raise TypeError(f"{kind.__name__} has no canonical form")


_JSON = json.JSONEncoder(default=_encode, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def encode_canonical(value: object) -> str:
    """The value as canonical JSON: equal values give equal bytes (sorted keys, no spaces, no escapes)."""
    return _JSON.encode(value)


def decode_canonical(value: object) -> Any:
    """The value as plain JSON data, for storing and showing."""
    return json.loads(encode_canonical(value))
