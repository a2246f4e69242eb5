"""Citations in explanations: clauses by reference, and figures as stored in the trace (reading 13).

The text of an instrument is never copied: a clause is cited by instrument, article and our own title.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from typing import Any

from backend.core.bilingual import Bilingual
from backend.policy import load_clauses
from backend.policy.clauses import Clause
from backend.standing.explanations.phrases import (
    AID_KINDS,
    BLOCKERS,
    DAY_COUNTS,
    EVIDENCE_PARTS,
    KINDS,
    LAUNCHERS,
    ON_EXPIRY,
    RECORD_ITEMS,
    ROLL_CALL_KINDS,
    UNITS,
    join_phrases,
    outcome_words,
)
from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class Reference:
    """A clause or a reading, with its instrument, article and our own title."""

    clause: str
    instrument: Bilingual
    article: str
    title: Bilingual


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the policy as it was applied, and the day from which it is in force."""

    parameter: str
    name: Bilingual
    value: Bilingual
    since: date
    instrument: Bilingual
    article: str


@lru_cache(maxsize=1)
def _load_clause_texts() -> tuple[Mapping[str, Clause], Mapping[str, Bilingual]]:
    """The clauses and instruments of this installation, read once per process."""
    registry = load_clauses()
    instruments = {item.id: Bilingual(item.zh, item.en) for item in registry.instruments}
    return {clause.id: clause for clause in registry.clauses}, instruments


def references(clauses: Iterable[str]) -> tuple[Reference, ...]:
    """The references to clauses by their ids, without duplicates, in the given order."""
    clauses_by_id, instruments = _load_clause_texts()
    return tuple(
        Reference(
            clause,
            instruments[clauses_by_id[clause].instrument],
            clauses_by_id[clause].article,
            Bilingual(clauses_by_id[clause].title.zh, clauses_by_id[clause].title.en),
        )
        for clause in dict.fromkeys(clauses)
    )


def references_of(trace: Mapping[str, Any]) -> tuple[Reference, ...]:
    """The clause that a stored trace applies, and its readings."""
    return references((trace["clause"], *trace["readings"]))


# --- figures ---


def _format_number(value: Any, unit: str | None, _: StandingPolicy) -> Bilingual:
    words = UNITS[unit or ""]
    return Bilingual(f"{value} {words.zh}", f"{value} {words.en}")


def _format_code(table: Mapping[str, Bilingual], value: Any, _: str | None, __: StandingPolicy) -> Bilingual:
    return table[value]


def _format_codes(
    table: Mapping[str, Bilingual], value: Sequence[Any], _: str | None, __: StandingPolicy
) -> Bilingual:
    return join_phrases(table[code] for code in value)


def _format_outcomes(value: Sequence[Any], _: str | None, law: StandingPolicy) -> Bilingual:
    return join_phrases(outcome_words(law, code) for code in value)


def _format_effects(value: Sequence[Mapping[str, Any]], _: str | None, __: StandingPolicy) -> Bilingual:
    return join_phrases(Bilingual(str(row["zh"]), str(row["en"])) for row in value)


def _format_proposed_outcomes(
    value: Sequence[Mapping[str, Any]], _: str | None, law: StandingPolicy
) -> Bilingual:
    pairs = [(KINDS[row["prompt"]], outcome_words(law, row["outcome"])) for row in value]
    return join_phrases(
        Bilingual(f"{kind.zh}→{outcome.zh}", f"{kind.en} → {outcome.en}") for kind, outcome in pairs
    )


FIGURE_FORMATS: Mapping[str, tuple[Bilingual, Callable[[Any, str | None, StandingPolicy], Bilingual]]] = {
    "misses.consecutive": (Bilingual("连续未按时核验的上限", "limit of misses in a row"), _format_number),
    "misses.cumulative": (Bilingual("累计未按时核验的上限", "limit of misses in a term"), _format_number),
    "roll_call.counted_kinds": (
        Bilingual("计入次数的点名种类", "kinds of roll call that count"),
        partial(_format_codes, ROLL_CALL_KINDS),
    ),
    "misses.counted_launchers": (
        Bilingual("计入次数的发起单位", "launchers whose checks count"),
        partial(_format_codes, LAUNCHERS),
    ),
    "decision.proposed_outcomes": (
        Bilingual("各类提示建议的处理", "what each kind of prompt proposes"),
        _format_proposed_outcomes,
    ),
    "leave.suspension_prompt_from": (
        Bilingual("从第几天请假起发出提示", "the day of leave that brings a prompt"),
        _format_number,
    ),
    "leave.cap": (Bilingual("请假天数的上限", "days of leave at most"), _format_number),
    "leave.day_count": (
        Bilingual("请假天数的算法", "how leave is counted"),
        partial(_format_code, DAY_COUNTS),
    ),
    "absence.withdrawal_after": (
        Bilingual("未请假缺席超过多久发出提示", "absence without leave that brings a prompt"),
        _format_number,
    ),
    "absence.alert_after": (
        Bilingual("有记录的缺席持续多久提醒", "recorded absence that brings a warning"),
        _format_number,
    ),
    "decision.deadline": (
        Bilingual("学校收到提示后的处理期限", "the school's time to decide after receipt"),
        _format_number,
    ),
    "decision.after_refused_dismissal": (
        Bilingual("免予处理未获同意后至少余下的期限", "time left at least after a refused dismissal"),
        _format_number,
    ),
    "decision.on_expiry": (
        Bilingual("期满没有处理时", "if there is no decision in time"),
        partial(_format_code, ON_EXPIRY),
    ),
    "decision.expiry_blockers": (
        Bilingual("哪些情形下暂缓执行", "what blocks the execution"),
        partial(_format_codes, BLOCKERS),
    ),
    "decision.required_evidence": (
        Bilingual("作出处理须有的证据", "evidence that a decision needs"),
        partial(_format_codes, EVIDENCE_PARTS),
    ),
    "decision.outcomes": (Bilingual("可以选择的处理", "outcomes to choose from"), _format_outcomes),
    "decision.outcome_effects": (Bilingual("各种处理的效力", "what the outcomes change"), _format_effects),
    "lock.covers": (
        Bilingual("锁定后须报批的事项", "what the lock covers"),
        partial(_format_codes, RECORD_ITEMS),
    ),
    "lock.excludes": (
        Bilingual("不受锁定影响的事项", "what the lock leaves free"),
        partial(_format_codes, RECORD_ITEMS),
    ),
    "appeal.filing.days": (Bilingual("可以申诉的天数", "days within which to appeal"), _format_number),
    "appeal.deciding.working_days": (
        Bilingual("申诉作出决定的期限", "working days in which an appeal is decided"),
        _format_number,
    ),
    "aid.withdrawal.kinds": (
        Bilingual("随学籍异动撤回的资助", "aid that a change withdraws"),
        partial(_format_codes, AID_KINDS),
    ),
    "appeal.levels": (Bilingual("可以逐级申诉的级数", "levels of appeal"), _format_number),
}
"""The name and the formatter of each figure that a trace may cite."""


def figures_of(trace: Mapping[str, Any], law: StandingPolicy) -> tuple[Figure, ...]:
    """The figures of a stored trace as text: the applied values, not those of today's policy."""
    return tuple(_build_figure(cited, law) for cited in trace["figures"])


def _build_figure(cited: Mapping[str, Any], law: StandingPolicy) -> Figure:
    _, instruments = _load_clause_texts()
    name, format_value = FIGURE_FORMATS[cited["parameter"]]
    return Figure(
        parameter=cited["parameter"],
        name=name,
        value=format_value(cited["value"], cited["unit"], law),
        since=date.fromisoformat(cited["since"]),
        instrument=instruments[cited["instrument"]],
        article=cited["article"],
    )


def describe_value(parameter: str, value: Any, unit: str | None, law: StandingPolicy) -> Bilingual | None:
    """The value of a parameter that a trace may cite, as text; None for any other, and for a code without text."""
    if parameter not in FIGURE_FORMATS:
        return None
    try:
        return FIGURE_FORMATS[parameter][1](value, unit, law)
    except LookupError:  # an earlier or later value may have a code that the law of this day lacks
        return None


def figure_value(trace: Mapping[str, Any], parameter: str) -> Any:
    """The value that a stored trace cites for a parameter; raises `LookupError`."""
    for cited in trace["figures"]:
        if cited["parameter"] == parameter:
            return cited["value"]
    raise LookupError(parameter)
