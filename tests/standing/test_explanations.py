"""Explanations name what was found, the clause, the figures, the facts, what comes next, and what the reader can do."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound
from backend.leave.service import DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.policy import installed
from backend.roll_call.rules import Outcome
from backend.standing.engine import (
    assess,
    decision_rules,
    ledger,
    misses,
    timeline,
    triggers,
)
from backend.standing.engine import trace as traces
from backend.standing.engine.ledger import Cause
from backend.standing.engine.prompts import OPEN, RULE_OF, PromptKind, PromptState
from backend.standing.engine.trace import Rule, document, trace
from backend.standing.explanations import phrases
from backend.standing.explanations.citations import FIGURES, figures_of, references_of
from backend.standing.explanations.fact_lines import READERS
from backend.standing.explanations.phrases import Bilingual
from backend.standing.explanations.prompt import (
    Explanation,
    PersonsDecision,
    PromptCase,
    Reader,
    explain_prompt,
)
from backend.standing.explanations.service import entry_explained, prompt_explained, warning_explained
from backend.standing.explanations.warning import WARNING_RULES, WarningCase, explain_warning
from backend.standing.policy import PolicyHistory
from backend.standing.store import tables
from tests.support.province import counselor_account, registrar_account, student_account
from tests.support.standing.replay import executed
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("R13")

LAW = PolicyHistory(installed.installed_policy(), "410100").on(datetime(2026, 10, 12, tzinfo=UTC).date())
AT = datetime(2026, 10, 12, 4, tzinfo=UTC)

# --- every code has words ---

RULES_THAT_SPEAK = (timeline, decision_rules, triggers, ledger, assess, misses)
NO_CODES = {
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
"""Bilingual of the rules that name a noun, a place or a role, and are shown by a table of their own or not at all."""
SPOKEN = {
    *phrases.STATES,
    *phrases.BLOCKERS,
    *phrases.PARTS,
    *phrases.CAUTIONS,
    *phrases.GROUNDS,
    *phrases.OBJECTIONS,
    *phrases.PLACES,
    *phrases.WITHDRAWN_BECAUSE,
    *phrases.OTHER_OUTCOMES,
}


def texts(module: ModuleType) -> Iterator[str]:
    """Every lower-case word among the constants of a module, those of f-strings with their holes left out."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^[a-z][a-z_]*[a-z]$", node.value)


@pytest.mark.parametrize("module", RULES_THAT_SPEAK, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_code_that_a_rule_can_say_has_words(module: ModuleType) -> None:
    assert set(texts(module)) - SPOKEN - NO_CODES == set()


@pytest.mark.parametrize(
    ("codes", "table"),
    [
        (PromptState, phrases.STATES),
        (PromptKind, phrases.KINDS),
        (Cause, phrases.CAUSES),
        ([*Outcome, "unsettled"], phrases.RESULTS),
        ([*LAW.blockers, decision_rules.CALENDAR_YEAR_MISSING], phrases.BLOCKERS),
        (LAW.required_evidence, phrases.PARTS),
        (decision_rules.Role, phrases.ROLES),
        (decision_rules.TARGETS, phrases.TARGETS),
        (WARNING_RULES, phrases.CAUTIONS),
        ([f"prompt_{state}" for state in PromptState], phrases.OBJECTIONS),
        ([f"for_{role}_to_decide" for role in decision_rules.Role], phrases.OBJECTIONS),
        (LAW.verified_study_forms, phrases.STUDY_FORMS),
        (LAW.locked_items, phrases.OTHER_OUTCOMES),
    ],
)
def test_the_tables_of_words_are_complete(codes: Any, table: dict[str, Bilingual]) -> None:
    assert set(codes) <= table.keys()


def test_outcomes_and_reasons_are_worded_by_the_law_itself() -> None:
    for outcome in LAW.outcomes:
        assert phrases.outcome_words(LAW, outcome).zh
    for reason in LAW.reasons:
        assert phrases.reason_words(LAW, reason).zh


def rules_of_the_house() -> list[Rule]:
    found = [value for value in vars(traces).values() if isinstance(value, Rule)]
    return [*found, *WARNING_RULES.values()]


@pytest.mark.parametrize("rule", rules_of_the_house(), ids=lambda rule: rule.rule_id)
def test_every_figure_and_clause_of_a_rule_is_cited_in_words(rule: Rule) -> None:
    stored = document(trace(rule, LAW, AT, ()))
    cited = figures_of(stored, LAW)
    assert [figure.parameter for figure in cited] == list(rule.parameters)
    for figure in cited:
        assert not raw_codes(figure.name, figure.value)
    assert [reference.clause for reference in references_of(stored)] == [rule.clause, *rule.readings]


def test_every_figure_that_can_be_cited_is_in_the_law() -> None:
    for parameter in FIGURES:
        assert installed.installed_policy().known_at(parameter)


def raw_codes(*sentences: Bilingual) -> list[str]:
    """What looks like a code in a sentence for people."""
    return [found for words in sentences for text in words for found in re.findall(r"[a-z]+_[a-z_]+", text)]


def said(told: Explanation) -> list[Bilingual]:
    facts = [fact.words for fact in told.facts]
    return [told.title, *told.paragraphs, *facts, *told.next_steps]


# --- every prompt, by state and reader ---


def case(kind: PromptKind, state: PromptState, **changes: Any) -> PromptCase:
    decided = PersonsDecision("registrar", "part_time", "情况属实", None, "", AT)
    closed = state not in OPEN
    made = PromptCase(
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
        trace=document(trace(RULE_OF[kind], LAW, AT, ("check:1", "check:2"))),
        state=state.value,
        delivered_at=None if state is PromptState.UNDELIVERED else AT,
        due_at=None if state is PromptState.UNDELIVERED else datetime(2026, 10, 19, 16, tzinfo=UTC),
        blockers=() if closed else (*LAW.blockers, "calendar_year_missing:2027"),
        closed_at=AT if closed else None,
        closed_by="basis_gone" if state is PromptState.WITHDRAWN else None,
        decision=decided if state is PromptState.DECIDED else None,
        law=LAW,
    )
    return replace(made, **changes)


@pytest.mark.parametrize("reader", Reader)
@pytest.mark.parametrize("state", PromptState)
@pytest.mark.parametrize("kind", PromptKind)
def test_every_prompt_is_told_to_everyone_without_a_code(
    kind: PromptKind, state: PromptState, reader: Reader
) -> None:
    told = explain_prompt(case(kind, state), (), reader)
    assert not raw_codes(*said(told))
    assert told.next_steps
    assert told.references[0].clause == RULE_OF[kind].clause
    for words in said(told):
        assert words.zh
        assert words.en
        assert "{" not in words.zh + words.en


def zh(told: Explanation) -> str:
    return "\n".join(words.zh for words in said(told))


def test_each_blocker_is_named() -> None:
    told = zh(explain_prompt(case(PromptKind.MISSES, PromptState.BLOCKED), (), Reader.STUDENT))
    for code in LAW.blockers:
        assert phrases.blocker_words(code).zh in told
    assert "2027 年" in told


@pytest.mark.clause("R7")
def test_the_deadline_reads_as_24_00_of_its_last_day() -> None:
    told = zh(explain_prompt(case(PromptKind.MISSES, PromptState.RUNNING), (), Reader.STUDENT))
    assert "2026-10-19 24:00" in told


@pytest.mark.clause("R10")
def test_a_student_learns_of_statement_claim_and_appeal() -> None:
    told = explain_prompt(case(PromptKind.MISSES, PromptState.RUNNING), (), Reader.STUDENT)
    steps = "\n".join(words.zh for words in told.next_steps)
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
def test_whoever_is_to_act_is_told_how(state: PromptState, reader: Reader, way: str) -> None:
    told = explain_prompt(case(PromptKind.MISSES, state), (), reader)
    assert any(way in words.zh for words in told.next_steps)


def test_what_happens_at_the_end_follows_the_policy_of_the_event_day() -> None:
    escalating = replace(LAW, on_expiry="escalate")
    told = zh(
        explain_prompt(case(PromptKind.MISSES, PromptState.RUNNING, law=escalating), (), Reader.STUDENT)
    )
    assert "由上级主管部门决定" in told
    assert "按规定执行提示的建议" not in told


@pytest.mark.parametrize("reader", Reader)
@pytest.mark.parametrize("code", WARNING_RULES)
def test_every_warning_is_told_without_a_code(code: str, reader: Reader) -> None:
    stored = document(trace(WARNING_RULES[code], LAW, AT, ()))
    told = explain_warning(WarningCase(code, "2026-autumn", AT, "part_time", stored, LAW), (), reader)
    assert not raw_codes(*said(told))
    assert told.next_steps


# --- from real cases ---


def student(registry: Registry) -> Actor:
    return student_account(registry.school, registry.pupil)


async def prompt_told(registry: Registry, actor: Actor) -> Explanation:
    [prompt] = await registry.rows(tables.PromptRecord)
    async with registry.transaction(actor) as session:
        return await prompt_explained(session, actor, prompt.id)


@pytest.mark.clause("HN334-4.1b")
@pytest.mark.parametrize("who", ["student", "counselor", "registrar", "bureau", "province"])
async def test_a_prompt_is_explained_with_its_checks_clause_and_figures(registry: Registry, who: str) -> None:
    missed = await registry.misses(2)
    await registry.recompute()
    actor = student(registry) if who == "student" else getattr(registry, who)
    told = await prompt_told(registry, actor)
    assert [fact.key for fact in told.facts] == [f"check:{each.id}" for each in missed]
    for fact, roll_call in zip(told.facts, missed, strict=True):
        assert roll_call.title in fact.words.zh
        assert phrases.instant(roll_call.opens_at) in fact.words.zh
        assert "未按时核验" in fact.words.zh
        assert "通知在" in fact.words.zh
    assert told.references[0].clause == "HN334-4.1b"
    assert told.references[0].instrument.zh.startswith("教办职成〔2022〕334号")
    figures = {figure.parameter: figure for figure in told.figures}
    assert figures["misses.consecutive"].value.zh.startswith("2 ")
    assert figures["misses.consecutive"].since.isoformat() == "2022-10-09"
    assert "2 次没有按时完成" in told.paragraphs[0].zh


async def entry_told(registry: Registry, actor: Actor) -> Explanation:
    [entry] = await registry.rows(tables.StandingEntry)
    async with registry.transaction(actor) as session:
        return await entry_explained(session, actor, entry.id)


@pytest.mark.clause("R12")
async def test_an_automatic_execution_is_explained_with_its_policy_version_and_the_way_to_appeal(
    registry: Registry,
) -> None:
    await executed(registry)
    [entry] = await registry.rows(tables.StandingEntry)
    told = await entry_told(registry, student(registry))
    assert "全日制" in told.paragraphs[0].zh
    assert "非全日制" in told.paragraphs[0].zh
    assert phrases.until(entry.at) in told.paragraphs[0].zh
    assert entry.policy_version[:12] in zh(told)
    assert "个人信息保护法第二十四条" in zh(told)
    last = (entry.recorded_at + timedelta(days=60)).astimezone(LEGAL_ZONE).date().isoformat()
    assert any("申诉" in words.zh and last in words.zh for words in told.next_steps)
    assert {reference.clause for reference in told.references} >= {"HN334-4.1b", "HN334-4.1c", "R12"}
    assert len(told.facts) == 2


async def test_the_superior_is_told_that_an_execution_can_be_taken_back(registry: Registry) -> None:
    await executed(registry)
    told = await entry_told(registry, registry.bureau)
    assert any("撤回这次自动执行" in words.zh for words in told.next_steps)


@pytest.mark.clause("HN334-4.2")
async def test_a_reversal_is_explained_on_both_entries(registry: Registry) -> None:
    entry_id = await executed(registry)
    pupil = registry.pupil
    async with registry.stage.arrange() as session:
        session.add(
            tables.ChangeReversed(
                id=UUID(int=entry_id.int ^ 1),
                change_id=entry_id,
                school_id=pupil.school_id,
                student_id=pupil.id,
                reasons="当日停电",
                reversed_by=registry.bureau.account_id,
                at=registry.at,
            )
        )
    registry.pass_time(minutes=1)
    await registry.recompute()
    actor = student(registry)
    async with registry.transaction(actor) as session:
        undone = await entry_explained(session, actor, entry_id)
        [reversal] = await session.scalars(
            select(tables.StandingEntry.id).where(tables.StandingEntry.reverses == entry_id)
        )
        told = await entry_explained(session, actor, reversal)
    assert "已经恢复" in zh(undone)
    assert "当日停电" in zh(told)
    assert [fact.key.partition(":")[0] for fact in told.facts] == ["change", "reversal"]
    assert not raw_codes(*said(told), *said(undone))


async def test_a_warning_is_explained_with_the_miss_behind_it(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    await registry.recompute()
    [warning] = await registry.rows(tables.StandingWarningRecord)
    actor = student(registry)
    async with registry.transaction(actor) as session:
        told = await warning_explained(session, actor, warning.id)
    assert [fact.key for fact in told.facts] == [f"check:{missed.id}"]
    assert told.references[0].clause == "HN334-4.1b"
    assert any("下一次核验" in words.zh for words in told.next_steps)


@pytest.mark.clause("HN334-2.3")
async def test_whoever_may_not_see_the_student_finds_nothing(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    [prompt] = await registry.rows(tables.PromptRecord)
    sister = registry.stage.world.sister
    strangers = [
        registrar_account(sister),
        student_account(registry.school, registry.school.students[1]),
        counselor_account(registry.school, registry.school.classes[1]),
        student_account(sister, sister.students[0]),
    ]
    for actor in strangers:
        async with registry.transaction(actor) as session:
            with pytest.raises(NotFound):
                await prompt_explained(session, actor, prompt.id)


async def on_leave(registry: Registry, days: int) -> UUID:
    """Approved leave over so many days from today on."""
    actor, app_context = student(registry), registry.app_context
    last = registry.today + timedelta(days=days - 1)
    command = RequestLeave("sick", HalfDay(registry.today, "morning"), HalfDay(last, "afternoon"), "骨折住院")
    async with registry.transaction(actor) as session:
        leave = await request_leave(session, actor, app_context.keys, command, registry.at)
    registry.pass_time(minutes=1)
    async with registry.transaction(registry.registrar) as session:
        await decide_leave(
            session, registry.registrar, DecideLeave(leave.request.id, "approved"), registry.at
        )
    return leave.request.id


@pytest.mark.clause("HN334-3.5b")
async def test_leave_over_the_limit_is_explained_by_its_days_and_never_by_its_reason(
    registry: Registry,
) -> None:
    begun = registry.today.isoformat()
    leave_id = await on_leave(registry, 20)
    registry.pass_time(days=18)
    await registry.recompute()
    told = await prompt_told(registry, registry.province)
    assert [fact.key for fact in told.facts] == [f"leave:{leave_id}"]
    assert begun in told.facts[0].words.zh
    assert "第 16 天" in told.paragraphs[0].zh
    assert told.references[0].clause == "HN334-3.5b"
    assert "骨折" not in zh(told)
    assert "sick" not in "".join(text for words in said(told) for text in words)


def test_every_noun_of_a_fact_has_a_reader() -> None:
    assert READERS.keys() == {
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
