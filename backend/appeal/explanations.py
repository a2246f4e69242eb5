"""Explain appeals, and load any explanation by its kind (PIPL art. 24).

This package may import standing and aid, so the table of all kinds is here.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.explanations import load_filing_explanation
from backend.appeal.queries import (
    AppealView,
    has_restored_standing,
    last_day_for_next_level,
    load_appeal,
    load_deadline,
)
from backend.appeal.rules import AppealDeadline, AppealState
from backend.core.actor import Actor
from backend.core.bilingual import Bilingual, format_end, format_instant
from backend.core.clock import legal_day
from backend.org.tables import OrgUnit
from backend.standing.engine.trace import Rule, build_trace, decode_canonical
from backend.standing.explanations.citations import figures_of, references_of
from backend.standing.explanations.fact_lines import load_fact_lines
from backend.standing.explanations.model import (
    HELP,
    NOTHING_TO_DO,
    Explanation,
    FactLine,
    Reader,
    reader_for_role,
)
from backend.standing.explanations.phrases import APPEAL_TARGETS, blocker_words
from backend.standing.explanations.service import (
    load_entry_explanation,
    load_prompt_explanation,
    load_warning_explanation,
)
from backend.standing.policy import StandingPolicy
from backend.standing.store.load import policy_history

ExplanationKind = Literal["prompt", "entry", "warning", "withdrawal", "appeal"]

APPEAL = Rule(
    "appeal.decided",
    "HN334-4.2",
    ("R12",),
    ("appeal.filing.days", "appeal.deciding.working_days", "appeal.levels"),
)
STATES: Mapping[AppealState, Bilingual] = {
    AppealState.OPEN: Bilingual("还没有决定", "not decided yet"),
    AppealState.UPHELD: Bilingual("申诉成立", "upheld"),
    AppealState.REJECTED: Bilingual("申诉不成立", "rejected"),
    AppealState.WITHDRAWN: Bilingual("已撤回", "withdrawn"),
    AppealState.ENDED: Bilingual(
        "已终止（异动已另行撤销）", "ended, because the change was reversed in another way"
    ),
}
APPELLANTS: Mapping[str, Bilingual] = {
    "student": Bilingual("学生", "the student"),
    "school": Bilingual("学校", "the school"),
}
FINDINGS: Mapping[str, Bilingual] = {
    "present": Bilingual(
        "那次核验改为通过，次数重新计算。", "The check counts as passed, and misses are recounted."
    ),
    "excused": Bilingual(
        "那次核验不再计入次数，次数重新计算。",
        "The check no longer counts, and misses are recounted.",
    ),
}


async def load_explanation(
    session: AsyncSession, actor: Actor, kind: ExplanationKind, case_id: UUID
) -> Explanation:
    """The explanation of a visible record of any kind; raises `NotFound`."""
    return await EXPLAINERS[kind](session, actor, case_id)


async def load_appeal_explanation(session: AsyncSession, actor: Actor, appeal_id: UUID) -> Explanation:
    """Explain a readable appeal; raises `NotFound`, and `NotPermitted` for a counselor."""
    appeal = await load_appeal(session, actor, appeal_id)
    path = (await session.get_one(OrgUnit, appeal.filed.school_id)).path
    law = policy_history(path).on(legal_day(appeal.filed.filed_at))
    keys = [] if appeal.filed.target == "gaokao" else [f"{appeal.filed.target}:{appeal.filed.target_id}"]
    facts = await load_fact_lines(session, appeal.filed.student_id, keys)
    prospects = Prospects(
        deadline=await load_deadline(session, appeal, path),
        next_level_until=last_day_for_next_level(appeal, path),
        restored=await has_restored_standing(session, appeal),
    )
    return explain_appeal(appeal, prospects, facts, law, reader_for_role(actor.role))


@dataclass(frozen=True, slots=True)
class Prospects:
    """What follows from the state of an appeal.

    `next_level_until`: the last day for the next level, None if no level is left; `restored`: the decision reversed a
    change of standing.
    """

    deadline: AppealDeadline
    next_level_until: date | None
    restored: bool


def explain_appeal(
    appeal: AppealView,
    prospects: Prospects,
    facts: Iterable[FactLine],
    law: StandingPolicy,
    reader: Reader,
) -> Explanation:
    """Explain the state or result of an appeal and what comes next to a reader."""
    filed, target, state = appeal.filed, APPEAL_TARGETS[appeal.filed.target], STATES[appeal.state]
    who, at = APPELLANTS[filed.appellant], format_instant(filed.filed_at)
    appeal_trace = decode_canonical(build_trace(APPEAL, law, filed.filed_at, (f"appeal:{filed.id}",)))
    return Explanation(
        title=Bilingual(f"申诉：{target.zh}（{state.zh}）", f"An appeal: {target.en} ({state.en})"),
        paragraphs=(
            Bilingual(
                f"{who.zh}在 {at} 对{target.zh}提出申诉，由{appeal.unit_name}决定，这是第 {appeal.case.level} 级。",
                f"At {at} {who.en} appealed against {target.en}. {appeal.unit_name} decides, as level {appeal.case.level}.",
            ),
            *_ending_paragraphs(appeal),
        ),
        facts=tuple(facts),
        figures=figures_of(appeal_trace, law),
        next_steps=tuple(_next_steps(appeal, prospects, reader)),
        references=references_of(appeal_trace),
    )


def _ending_paragraphs(appeal: AppealView) -> Iterable[Bilingual]:
    if appeal.withdrawn is not None:
        at = format_instant(appeal.withdrawn.at)
        yield Bilingual(
            f"申诉已在 {at} 由申诉方撤回，没有作出决定。",
            f"The appellant withdrew it at {at}, and nothing was decided.",
        )
    elif appeal.decided is not None:
        at, state = format_instant(appeal.decided.at), STATES[appeal.state]
        yield Bilingual(
            f"{appeal.unit_name}在 {at} 决定：{state.zh}。理由：{appeal.decided.reasons}",
            f"At {at} {appeal.unit_name} decided: {state.en}. Reasons given: {appeal.decided.reasons}",
        )


def _next_steps(appeal: AppealView, prospects: Prospects, reader: Reader) -> Iterable[Bilingual]:
    match appeal.state:
        case AppealState.OPEN:
            yield from _open_steps(prospects.deadline, reader)
        case AppealState.UPHELD:
            yield from _upheld_steps(appeal, restored=prospects.restored)
        case AppealState.REJECTED:
            yield from _rejected_steps(appeal, prospects.next_level_until, reader)
        case AppealState.WITHDRAWN | AppealState.ENDED:
            yield NOTHING_TO_DO


def _open_steps(deadline: AppealDeadline, reader: Reader) -> Iterable[Bilingual]:
    if deadline.at is not None:
        yield Bilingual(
            f"作出决定的期限到 {format_end(deadline.at)} 为止。",
            f"The deadline for the decision is {format_end(deadline.at)}.",
        )
    else:
        why = blocker_words(f"calendar_year_missing:{deadline.missing_year}")
        yield Bilingual(f"{why.zh}。", f"{why.en[0].upper()}{why.en[1:]}.")
    yield Bilingual(
        "在决定之前，不会因为这件事自动执行任何处理。",
        "Until it is decided, nothing is carried out automatically in this matter.",
    )
    if reader is Reader.STUDENT:
        yield Bilingual(
            "您可以在申诉里补充说明和材料，也可以撤回申诉。",
            "You can add messages and files to the appeal, or withdraw it.",
        )
    elif reader is Reader.SUPERIOR:
        yield Bilingual(
            "由受理单位审阅双方的说明和证据，在期限内作出决定并写明理由。",
            "The deciding unit reads the messages of both sides and the evidence, and decides within the deadline, with reasons.",
        )


def _upheld_steps(appeal: AppealView, *, restored: bool) -> Iterable[Bilingual]:
    if appeal.filed.target == "check" and appeal.decided is not None:
        yield FINDINGS[appeal.decided.finding]
    if appeal.filed.target == "gaokao":
        yield Bilingual("高考报名资格按申诉结果认定。", "Eligibility follows the result of the appeal.")
    if restored:
        yield Bilingual(
            "相关的学籍异动已撤销，学籍状态和锁定恢复到异动之前；因它撤回的资助，没有其他异动扣回的，一并恢复。",
            "The change of standing is reversed: status and lock are as before it. Aid withdrawn because of it is"
            " restored, unless another change withholds it.",
        )
    elif appeal.filed.target != "gaokao":
        yield Bilingual("学籍状态没有因此变化。", "The standing does not change because of it.")
    yield NOTHING_TO_DO


def _rejected_steps(appeal: AppealView, next_level_until: date | None, reader: Reader) -> Iterable[Bilingual]:
    yield Bilingual("原来的结果不变。", "The result stays as it was.")
    if next_level_until is None:
        yield Bilingual(
            "申诉的级数已用完，这件事到此为止。", "No level of appeal is left. This decision is final."
        )
        return
    last = next_level_until.isoformat()
    if reader.value == appeal.filed.appellant or (
        reader is Reader.REGISTRAR and appeal.filed.appellant == "school"
    ):
        yield Bilingual(
            f"如果不同意，可以向再上一级申诉，到 {last} 为止（含当天）。",
            f"If you disagree, you can appeal to the next level until {last}, that day included.",
        )
        if reader is Reader.STUDENT:
            yield HELP
    else:
        yield Bilingual(
            f"申诉方可以在 {last} 之前（含当天）向再上一级申诉。",
            f"The appellant can appeal to the next level until {last}, that day included.",
        )


EXPLAINERS: Mapping[ExplanationKind, Callable[[AsyncSession, Actor, UUID], Awaitable[Explanation]]] = {
    "prompt": load_prompt_explanation,
    "entry": load_entry_explanation,
    "warning": load_warning_explanation,
    "withdrawal": load_filing_explanation,
    "appeal": load_appeal_explanation,
}
"""The loader of each kind of explanation."""
