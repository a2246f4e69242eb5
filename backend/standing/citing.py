"""What an explanation cites: clauses by reference, and figures as the stored trace holds them (reading 13).

Sentences of an instrument are never copied: a clause is named by instrument, article and our own title of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from typing import Any

from backend.policy import load_clauses
from backend.policy.clauses import Clause
from backend.standing.law import StandingLaw
from backend.standing.wording import (
    AID_KINDS,
    BLOCKERS,
    CHECK_KINDS,
    DAY_COUNTS,
    ITEMS,
    KINDS,
    LAUNCHERS,
    ON_EXPIRY,
    PARTS,
    UNITS,
    Words,
    joined,
    outcome_words,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A clause or a reading: where it is written, and what it is about in our words."""

    clause: str
    instrument: Words
    article: str
    title: Words


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the law as it was applied, and the day since which it holds."""

    parameter: str
    name: Words
    value: Words
    since: date
    instrument: Words
    article: str


@lru_cache(maxsize=1)
def _registry() -> tuple[Mapping[str, Clause], Mapping[str, Words]]:
    """Clauses and instruments of this installation, read once a process."""
    registry = load_clauses()
    instruments = {item.id: Words(item.zh, item.en) for item in registry.instruments}
    return {clause.id: clause for clause in registry.clauses}, instruments


def references(clauses: Iterable[str]) -> tuple[Reference, ...]:
    """The clauses by their ids, each once, in the order given."""
    known, instruments = _registry()
    return tuple(
        Reference(
            clause,
            instruments[known[clause].instrument],
            known[clause].article,
            Words(known[clause].title.zh, known[clause].title.en),
        )
        for clause in dict.fromkeys(clauses)
    )


def references_of(trace: Mapping[str, Any]) -> tuple[Reference, ...]:
    """The clause that a stored trace applies, and the readings it rests on."""
    return references((trace["clause"], *trace["readings"]))


# --- figures ---


def _number(value: Any, unit: str | None, _: StandingLaw) -> Words:
    words = UNITS[unit or ""]
    return Words(f"{value} {words.zh}", f"{value} {words.en}")


def _code(table: Mapping[str, Words], value: Any, _: str | None, __: StandingLaw) -> Words:
    return table[value]


def _codes(table: Mapping[str, Words], value: Sequence[Any], _: str | None, __: StandingLaw) -> Words:
    return joined(table[code] for code in value)


def _outcomes(value: Sequence[Any], _: str | None, law: StandingLaw) -> Words:
    return joined(outcome_words(law, code) for code in value)


def _effects(value: Sequence[Mapping[str, Any]], _: str | None, __: StandingLaw) -> Words:
    return joined(Words(str(row["zh"]), str(row["en"])) for row in value)


def _proposed(value: Sequence[Mapping[str, Any]], _: str | None, law: StandingLaw) -> Words:
    pairs = [(KINDS[row["prompt"]], outcome_words(law, row["outcome"])) for row in value]
    return joined(Words(f"{kind.zh}→{outcome.zh}", f"{kind.en} → {outcome.en}") for kind, outcome in pairs)


FIGURES: Mapping[str, tuple[Words, Callable[[Any, str | None, StandingLaw], Words]]] = {
    "misses.consecutive": (Words("连续未按时核验的上限", "limit of misses in a row"), _number),
    "misses.cumulative": (Words("累计未按时核验的上限", "limit of misses in a term"), _number),
    "roll_call.counted_kinds": (
        Words("计入次数的点名种类", "kinds of roll call that count"),
        partial(_codes, CHECK_KINDS),
    ),
    "misses.counted_launchers": (
        Words("计入次数的发起单位", "launchers whose checks count"),
        partial(_codes, LAUNCHERS),
    ),
    "decision.proposed_outcomes": (
        Words("各类提示建议的处理", "what each kind of prompt proposes"),
        _proposed,
    ),
    "leave.suspension_prompt_from": (
        Words("从第几天请假起发出提示", "the day of leave that brings a prompt"),
        _number,
    ),
    "leave.cap": (Words("请假天数的上限", "days of leave at most"), _number),
    "leave.day_count": (Words("请假天数的算法", "how leave is counted"), partial(_code, DAY_COUNTS)),
    "absence.withdrawal_after": (
        Words("未请假缺席超过多久发出提示", "absence without leave that brings a prompt"),
        _number,
    ),
    "absence.alert_after": (
        Words("有记录的缺席持续多久提醒", "recorded absence that brings a warning"),
        _number,
    ),
    "decision.deadline": (
        Words("学校收到提示后的处理期限", "the school's time to decide after receipt"),
        _number,
    ),
    "decision.on_expiry": (
        Words("期满没有处理时", "when nobody decided in time"),
        partial(_code, ON_EXPIRY),
    ),
    "decision.expiry_blockers": (
        Words("哪些情形下暂缓执行", "what puts it on hold"),
        partial(_codes, BLOCKERS),
    ),
    "decision.required_evidence": (
        Words("作出处理须有的证据", "evidence that a decision needs"),
        partial(_codes, PARTS),
    ),
    "decision.outcomes": (Words("可以选择的处理", "outcomes to choose from"), _outcomes),
    "decision.outcome_effects": (Words("各种处理的效力", "what the outcomes change"), _effects),
    "lock.covers": (Words("锁定后须报批的事项", "what the lock covers"), partial(_codes, ITEMS)),
    "lock.excludes": (Words("不受锁定影响的事项", "what the lock leaves free"), partial(_codes, ITEMS)),
    "appeal.filing.days": (Words("可以申诉的天数", "days within which to appeal"), _number),
    "appeal.deciding.working_days": (
        Words("申诉作出决定的期限", "working days in which an appeal is decided"),
        _number,
    ),
    "aid.withdrawal.kinds": (
        Words("随学籍变动撤回的资助", "aid that a change withdraws"),
        partial(_codes, AID_KINDS),
    ),
    "appeal.levels": (Words("可以逐级申诉的级数", "levels of appeal"), _number),
}
"""How each figure that a trace may cite is named and written."""


def figures_of(trace: Mapping[str, Any], law: StandingLaw) -> tuple[Figure, ...]:
    """The figures of a stored trace in words: the values that were applied, whatever the law says today."""
    return tuple(_figure(cited, law) for cited in trace["figures"])


def _figure(cited: Mapping[str, Any], law: StandingLaw) -> Figure:
    _, instruments = _registry()
    name, written = FIGURES[cited["parameter"]]
    return Figure(
        parameter=cited["parameter"],
        name=name,
        value=written(cited["value"], cited["unit"], law),
        since=date.fromisoformat(cited["since"]),
        instrument=instruments[cited["instrument"]],
        article=cited["article"],
    )


def figure_value(trace: Mapping[str, Any], parameter: str) -> Any:
    """The bare value that a stored trace cites; raises `LookupError`."""
    for cited in trace["figures"]:
        if cited["parameter"] == parameter:
            return cited["value"]
    raise LookupError(parameter)
