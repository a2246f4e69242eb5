"""Texts of explanations: every code has a text, and every reader gets next steps without codes."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from backend.core.bilingual import Bilingual
from backend.policy import installed
from backend.roll_call.rules import Outcome
from backend.standing.engine import assess, decision_rules, ledger, misses, timeline, triggers
from backend.standing.engine import trace as traces
from backend.standing.engine.ledger import Cause
from backend.standing.engine.prompts import OPEN_STATES, RULE_OF, PromptKind, PromptState
from backend.standing.engine.trace import Rule, build_trace, decode_canonical
from backend.standing.explanations import phrases
from backend.standing.explanations.citations import FIGURE_FORMATS, figures_of, references_of
from backend.standing.explanations.fact_lines import FACT_LOADERS
from backend.standing.explanations.model import Reader
from backend.standing.explanations.prompt import HumanDecision, PromptExplanationInput, explain_prompt
from backend.standing.explanations.warning import WARNING_RULES, WarningExplanationInput, explain_warning
from backend.standing.policy import PolicyHistory
from tests.support.standing.explanations import all_sentences, chinese_text, find_codes

pytestmark = pytest.mark.clause("R13")

LAW = PolicyHistory(installed.installed_policy(), "410100").on(datetime(2026, 10, 12, tzinfo=UTC).date())
AT = datetime(2026, 10, 12, 4, tzinfo=UTC)

# --- every code has a text ---

RULE_MODULES = (timeline, decision_rules, triggers, ledger, assess, misses)
NOT_CODES = {
    "absence_without_leave",
    "acknowledgement",
    "appeal",
    "calendar_year_missing",
    "change",
    "check",
    "decision",
    "delivery",
    "dismiss",
    "edit",
    "execute",
    "expiry",
    "gaokao",
    "leave",
    "missed",
    "notice",
    "open",
    "out",
    "passed",
    "policy",
    "present",
    "registrar",
    "rejected",
    "reversal",
    "superior",
    "unknown",
    "upheld",
    "warning",
    "year",
}
"""Nouns, statuses and roles in the rules that need no text of their own."""
CODES_WITH_TEXT = {
    *phrases.PROMPT_STATES,
    *phrases.BLOCKERS,
    *phrases.EVIDENCE_PARTS,
    *phrases.WARNINGS,
    *phrases.PROMPT_GROUNDS,
    *phrases.OBJECTIONS,
    *phrases.CHECK_STATUSES,
    *phrases.WITHDRAWN_BECAUSE,
    *phrases.OTHER_OUTCOMES,
}


def texts(module: ModuleType) -> Iterator[str]:
    """Every lower-case word among the string constants of a module; of f-strings only the constant parts."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^[a-z][a-z_]*[a-z]$", node.value)


@pytest.mark.parametrize("module", RULE_MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_code_of_a_rule_has_a_text(module: ModuleType) -> None:
    assert set(texts(module)) - CODES_WITH_TEXT - NOT_CODES == set()


@pytest.mark.parametrize(
    ("codes", "table"),
    [
        (PromptState, phrases.PROMPT_STATES),
        (PromptKind, phrases.KINDS),
        (Cause, phrases.CAUSES),
        ([*Outcome, "unsettled"], phrases.ROLL_CALL_RESULTS),
        ([*LAW.blockers, decision_rules.CALENDAR_YEAR_MISSING], phrases.BLOCKERS),
        (LAW.required_evidence, phrases.EVIDENCE_PARTS),
        (decision_rules.Role, phrases.ROLES),
        (decision_rules.TARGETS, phrases.APPEAL_TARGETS),
        (WARNING_RULES, phrases.WARNINGS),
        ([f"prompt_{state}" for state in PromptState], phrases.OBJECTIONS),
        ([f"for_{role}_to_decide" for role in decision_rules.Role], phrases.OBJECTIONS),
        (LAW.verified_study_forms, phrases.STUDY_FORMS),
        (LAW.locked_items, phrases.OTHER_OUTCOMES),
    ],
)
def test_the_tables_of_texts_are_complete(codes: Any, table: dict[str, Bilingual]) -> None:
    assert set(codes) <= table.keys()


def test_outcomes_and_reasons_have_texts_in_the_policy() -> None:
    for outcome in LAW.outcomes:
        assert phrases.outcome_words(LAW, outcome).zh
    for reason in LAW.reasons:
        assert phrases.reason_words(LAW, reason).zh


def collect_rules() -> list[Rule]:
    found = [value for value in vars(traces).values() if isinstance(value, Rule)]
    return [*found, *WARNING_RULES.values()]


@pytest.mark.parametrize("rule", collect_rules(), ids=lambda rule: rule.rule_id)
def test_every_figure_and_clause_of_a_rule_has_a_citation(rule: Rule) -> None:
    stored = decode_canonical(build_trace(rule, LAW, AT, ()))
    cited = figures_of(stored, LAW)
    assert [figure.parameter for figure in cited] == list(rule.parameters)
    for figure in cited:
        assert not find_codes(figure.name, figure.value)
    assert [reference.clause for reference in references_of(stored)] == [rule.clause, *rule.readings]


def test_every_figure_that_can_be_cited_is_in_the_policy() -> None:
    for parameter in FIGURE_FORMATS:
        assert installed.installed_policy().definitions_of(parameter)


# --- every prompt, by state and reader ---


def build_prompt_input(kind: PromptKind, state: PromptState, **changes: Any) -> PromptExplanationInput:
    decided = HumanDecision("registrar", "part_time", "情况属实", None, "", AT)
    closed = state not in OPEN_STATES
    prompt_input = PromptExplanationInput(
        kind=kind.value,
        term="2026-autumn",
        grounds={
            PromptKind.MISSES: ("consecutive",),
            PromptKind.LEAVE_OVER_CAP: ("over_cap",),
            PromptKind.ABSENCE: ("over_limit",),
        }[kind],
        evidence=("check:1", "check:2"),
        raised_at=AT,
        proposed=LAW.proposed[kind],
        trace=decode_canonical(build_trace(RULE_OF[kind], LAW, AT, ("check:1", "check:2"))),
        state=state.value,
        delivered_at=None if state is PromptState.UNDELIVERED else AT,
        due_at=None if state is PromptState.UNDELIVERED else datetime(2026, 10, 19, 16, tzinfo=UTC),
        blockers=() if closed else (*LAW.blockers, "calendar_year_missing:2027"),
        closed_at=AT if closed else None,
        closed_by="basis_gone" if state is PromptState.WITHDRAWN else None,
        decision=decided if state is PromptState.DECIDED else None,
        law=LAW,
    )
    return replace(prompt_input, **changes)


@pytest.mark.parametrize("reader", Reader)
@pytest.mark.parametrize("state", PromptState)
@pytest.mark.parametrize("kind", PromptKind)
def test_explanations_of_prompts_contain_no_codes(
    kind: PromptKind, state: PromptState, reader: Reader
) -> None:
    explanation = explain_prompt(build_prompt_input(kind, state), (), reader)
    assert not find_codes(*all_sentences(explanation))
    assert explanation.next_steps
    assert explanation.references[0].clause == RULE_OF[kind].clause
    for words in all_sentences(explanation):
        assert words.zh
        assert words.en
        assert "{" not in words.zh + words.en


def test_each_blocker_is_named() -> None:
    text = chinese_text(
        explain_prompt(build_prompt_input(PromptKind.MISSES, PromptState.BLOCKED), (), Reader.STUDENT)
    )
    for code in LAW.blockers:
        assert phrases.blocker_words(code).zh in text
    assert "2027 年" in text


@pytest.mark.clause("R7")
def test_the_deadline_is_shown_as_24_00_of_its_last_day() -> None:
    text = chinese_text(
        explain_prompt(build_prompt_input(PromptKind.MISSES, PromptState.RUNNING), (), Reader.STUDENT)
    )
    assert "2026-10-19 24:00" in text


@pytest.mark.clause("R10")
def test_a_student_reads_about_statement_claim_and_appeal() -> None:
    explanation = explain_prompt(
        build_prompt_input(PromptKind.MISSES, PromptState.RUNNING), (), Reader.STUDENT
    )
    steps = "\n".join(words.zh for words in explanation.next_steps)
    for way in ("情况说明", "正当理由", "申诉", "疾病"):
        assert way in steps


@pytest.mark.clause("R12")
@pytest.mark.parametrize(
    ("state", "reader", "way"),
    [
        (PromptState.UNDELIVERED, Reader.REGISTRAR, "确认收到"),
        (PromptState.RUNNING, Reader.REGISTRAR, "免予处理"),
        (PromptState.DISMISSAL_PENDING, Reader.SUPERIOR, "答复"),
        (PromptState.ESCALATED, Reader.SUPERIOR, "决定"),
    ],
)
def test_the_acting_reader_gets_instructions(state: PromptState, reader: Reader, way: str) -> None:
    explanation = explain_prompt(build_prompt_input(PromptKind.MISSES, state), (), reader)
    assert any(way in words.zh for words in explanation.next_steps)


def test_the_expiry_text_follows_the_policy_of_the_event_day() -> None:
    escalating = replace(LAW, on_expiry="escalate")
    text = chinese_text(
        explain_prompt(
            build_prompt_input(PromptKind.MISSES, PromptState.RUNNING, law=escalating), (), Reader.STUDENT
        )
    )
    assert "由上级主管部门决定" in text
    assert "按规定执行提示的建议" not in text


@pytest.mark.parametrize("reader", Reader)
@pytest.mark.parametrize("code", WARNING_RULES)
def test_explanations_of_warnings_contain_no_codes(code: str, reader: Reader) -> None:
    stored = decode_canonical(build_trace(WARNING_RULES[code], LAW, AT, ()))
    explanation = explain_warning(
        WarningExplanationInput(code, "2026-autumn", AT, "part_time", stored, LAW), (), reader
    )
    assert not find_codes(*all_sentences(explanation))
    assert explanation.next_steps


def test_every_noun_of_a_fact_key_has_a_loader() -> None:
    assert FACT_LOADERS.keys() == {
        "check",
        "leave",
        "attendance",
        "change",
        "appeal",
        "reversal",
        "edit",
        "day",
        "planned",
    }
