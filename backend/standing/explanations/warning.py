"""Explain a warning: nothing has been decided, and how to avoid a prompt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.core.bilingual import Bilingual, format_instant, term_words
from backend.standing.engine.trace import Rule
from backend.standing.explanations.citations import figures_of, references_of
from backend.standing.explanations.model import HELP, Explanation, FactLine, Reader
from backend.standing.explanations.phrases import WARNINGS, outcome_words
from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class WarningExplanationInput:
    """The stored warning with the policy of its day and the trace of its figures."""

    code: str
    term: str
    at: datetime
    proposed: str | None
    trace: Mapping[str, Any]
    law: StandingPolicy


def explain_warning(
    warning: WarningExplanationInput, facts: Iterable[FactLine], reader: Reader
) -> Explanation:
    """Explain one warning to a reader."""
    warning_text, term, at = WARNINGS[warning.code], term_words(warning.term), format_instant(warning.at)
    paragraphs = [warning_text, Bilingual(f"这条提醒发出的时间：{at}。", f"This reminder was sent at {at}.")]
    if warning.proposed is not None:
        outcome = outcome_words(warning.law, warning.proposed)
        paragraphs.append(
            Bilingual(
                f"现在没有任何处理。如果情况继续下去，学校会收到提示，提示建议的处理是：{outcome.zh}。",
                f"Nothing has been decided. If this continues, the school receives a prompt that proposes: {outcome.en}.",
            )
        )
    return Explanation(
        title=Bilingual(f"提醒（{term.zh}）", f"A reminder ({term.en})"),
        paragraphs=tuple(paragraphs),
        facts=tuple(facts),
        figures=figures_of(warning.trace, warning.law),
        next_steps=(_STUDENT_STEPS[warning.code], HELP) if reader is Reader.STUDENT else (_STAFF_STEP,),
        references=references_of(warning.trace),
    )


WARNING_RULES: Mapping[str, Rule] = {
    "one_more_miss": Rule(
        "warning.one_more_miss", "HN334-4.1b", ("R1", "R2", "R3"), ("misses.consecutive", "misses.cumulative")
    ),
    "leave_days_used": Rule(
        "warning.leave_days_used", "HN334-3.5b", ("R4",), ("leave.cap", "leave.day_count")
    ),
    "leave_plan_exceeds": Rule(
        "warning.leave_plan_exceeds", "HN334-3.5b", ("R4",), ("leave.cap", "leave.day_count")
    ),
    "absence_continues": Rule(
        "warning.absence_continues",
        "HN334-3.5c",
        ("R5",),
        ("absence.alert_after", "absence.withdrawal_after"),
    ),
    "change_without_basis": Rule(
        "warning.change_without_basis", "HN334-4.2", ("R14", "R16"), ("appeal.filing.days", "appeal.levels")
    ),
}
"""The rule that each warning cites. Warnings are stored without a trace because no decision rests on them."""

_STAFF_STEP = Bilingual(
    "请与学生谈一谈，帮助学生避免这种情况。", "Talk to the student and help to prevent this."
)
_STUDENT_STEPS: Mapping[str, Bilingual] = {
    "one_more_miss": Bilingual(
        "请留意下一次核验通知，按时完成。做不到时，请提前告诉辅导员或请假。",
        "Watch for the next notice and check in on time. If you cannot, tell your counselor or ask for leave beforehand.",
    ),
    "leave_days_used": Bilingual(
        "请合理安排余下的请假。返校后请马上销假。",
        "Plan your remaining leave, and record your return immediately.",
    ),
    "leave_plan_exceeds": Bilingual(
        "请在超过上限之前返校并销假。", "Return and record your return before the limit is exceeded."
    ),
    "absence_continues": Bilingual(
        "请尽快到校，或补办请假。如果记录不对，请辅导员更正。",
        "Come to school soon, or ask for leave. If the record is wrong, ask your counselor to correct it.",
    ),
    "change_without_basis": Bilingual(
        "已经了结的事项不会自动改变。您可以就这次学籍异动向上级主管部门申诉。",
        "A closed case does not change automatically. You can appeal against the change to the superior authority.",
    ),
}
