"""One readable line for each fact of a case, by the keys that traces cite."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backend.core.bilingual import Bilingual, format_end, format_instant
from backend.law_cases.fixtures import World
from backend.standing.engine.facts import Appeal, Attendance, RollCallFact
from backend.standing.explanations.fact_lines import (
    HIDDEN_FACT,
    attendance_words,
    describe_leave_day,
    describe_planned_days,
    leave_words,
)
from backend.standing.explanations.model import FactLine
from backend.standing.explanations.phrases import (
    APPEAL_TARGETS,
    LAUNCHERS,
    RECORD_ITEMS,
    ROLL_CALL_KINDS,
    ROLL_CALL_RESULTS,
)


def list_fact_lines(world: World, keys: Iterable[str]) -> tuple[FactLine, ...]:
    """A line for each key, in order."""
    return tuple(FactLine(key, _words(world, key)) for key in keys)


def _words(world: World, key: str) -> Bilingual:
    noun, _, name = key.partition(":")
    if noun in _BY_VALUE:
        return _BY_VALUE[noun](name)
    if noun in _FINDERS:
        facts, id_field, describe = _FINDERS[noun]
        for fact in getattr(world.facts, facts):
            if getattr(fact, id_field) == name:
                return describe(fact)
    return _change_words(noun)


def _change_words(noun: str) -> Bilingual:
    if noun == "change":
        return Bilingual("此前的学籍异动。", "The earlier change of standing.")
    if noun == "reversal":
        return Bilingual("主管部门撤回自动执行。", "The authority reversed the automatic execution.")
    return HIDDEN_FACT


def _roll_call_words(check: RollCallFact) -> Bilingual:
    kind, launcher = ROLL_CALL_KINDS[check.kind], LAUNCHERS[check.launcher]
    window = f"{format_instant(check.opens_at)}–{format_end(check.closes_at)}"
    result = ROLL_CALL_RESULTS[check.results[-1].outcome.value if check.results else "unsettled"]
    delivered = (
        Bilingual("没有通知送达的记录", "no receipt of its notice is on record")
        if check.notice_delivered_at is None
        else Bilingual(
            f"通知在 {format_instant(check.notice_delivered_at)} 送达",
            f"its notice arrived at {format_instant(check.notice_delivered_at)}",
        )
    )
    return Bilingual(
        f"{kind.zh} {check.check_id}，{launcher.zh}发起，时间 {window}。结果：{result.zh}；{delivered.zh}。",
        f"{kind.en[0].upper()}{kind.en[1:]} {check.check_id} by {launcher.en}, {window}; result: {result.en};"
        f" {delivered.en}.",
    )


def _attendance_words(record: Attendance) -> Bilingual:
    return attendance_words(record.at, record.recorded_at or record.at, present=record.present)


def _appeal_words(appeal: Appeal) -> Bilingual:
    target, filed = APPEAL_TARGETS[appeal.target], format_instant(appeal.filed_at)
    zh, en = f"{filed} 提出的申诉（{target.zh}）", f"The appeal of {filed} ({target.en})"
    if appeal.decided_at is not None:
        at = format_instant(appeal.decided_at)
        zh += f"，{at} 认定{'成立' if appeal.upheld else '不成立'}"
        en += f", {'upheld' if appeal.upheld else 'rejected'} at {at}"
    return Bilingual(f"{zh}。", f"{en}.")


def _edit_words(edit: Any) -> Bilingual:
    at, item = format_instant(edit.at), RECORD_ITEMS[edit.item]
    return Bilingual(f"{at} 登记的变更：{item.zh}。", f"The change of the record entered at {at}: {item.en}.")


_BY_VALUE: Mapping[str, Callable[[str], Bilingual]] = {
    "day": describe_leave_day,
    "planned": describe_planned_days,
}
_FINDERS: Mapping[str, tuple[str, str, Callable[[Any], Bilingual]]] = {
    "check": ("checks", "check_id", _roll_call_words),
    "leave": ("leaves", "leave_id", leave_words),
    "attendance": ("attendance", "record_id", _attendance_words),
    "appeal": ("appeals", "appeal_id", _appeal_words),
    "edit": ("edits", "edit_id", _edit_words),
}
"""By noun: where the facts are, what their id is called, and what they say."""
