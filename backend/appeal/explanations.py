"""Appeals in plain words; and, as the topmost of the rooms of law, the one door to every explanation (PIPL art. 24)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.explanations import filing_explained
from backend.appeal.queries import AppealView, appeal_for, due_of
from backend.appeal.rules import CaseState, Due
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.org.tables import OrgUnit
from backend.standing.engine.trace import Rule, document, trace
from backend.standing.explanations.citations import figures_of, references_of
from backend.standing.explanations.fact_lines import fact_lines
from backend.standing.explanations.phrases import TARGETS, Bilingual, blocker_words, instant, until
from backend.standing.explanations.prompt import HELP, NOTHING_TO_DO, Explanation, FactLine, Reader, reader_of
from backend.standing.explanations.service import entry_explained, prompt_explained, warning_explained
from backend.standing.policy import StandingPolicy
from backend.standing.store.lock import policy_history

CaseKind = Literal["prompt", "entry", "warning", "withdrawal", "appeal"]

APPEAL = Rule(
    "appeal.decided",
    "HN334-4.2",
    ("R12",),
    ("appeal.filing.days", "appeal.deciding.working_days", "appeal.levels"),
)
STATES: Mapping[CaseState, Bilingual] = {
    CaseState.OPEN: Bilingual("还没有决定", "not decided yet"),
    CaseState.UPHELD: Bilingual("申诉成立", "upheld"),
    CaseState.REJECTED: Bilingual("申诉不成立", "rejected"),
    CaseState.WITHDRAWN: Bilingual("已撤回", "taken back"),
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
        "The check is taken out of the count, and misses are recounted.",
    ),
}


async def explained(session: AsyncSession, actor: Actor, kind: CaseKind, case_id: UUID) -> Explanation:
    """The explanation of a case that the caller may see; else `NotFound`, whatever the cause."""
    return await EXPLAINERS[kind](session, actor, case_id)


async def appeal_explained(session: AsyncSession, actor: Actor, appeal_id: UUID) -> Explanation:
    """An appeal that the caller may read; raises `NotFound`, and `NotPermitted` for a counselor."""
    appeal = await appeal_for(session, actor, appeal_id)
    path = (await session.get_one(OrgUnit, appeal.filed.school_id)).path
    law = policy_history(path).on(legal_day(appeal.filed.filed_at))
    keys = [] if appeal.filed.target == "gaokao" else [f"{appeal.filed.target}:{appeal.filed.target_id}"]
    facts = await fact_lines(session, appeal.filed.student_id, keys)
    return explain_appeal(appeal, await due_of(session, appeal, path), facts, law, reader_of(actor.role))


def explain_appeal(
    appeal: AppealView, due: Due, facts: Iterable[FactLine], law: StandingPolicy, reader: Reader
) -> Explanation:
    """How an appeal stands or ended, and what follows."""
    filed, target, state = appeal.filed, TARGETS[appeal.filed.target], STATES[appeal.state]
    who, at = APPELLANTS[filed.appellant], instant(filed.filed_at)
    rested_on = document(trace(APPEAL, law, filed.filed_at, (f"appeal:{filed.id}",)))
    return Explanation(
        title=Bilingual(f"申诉：{target.zh}（{state.zh}）", f"An appeal: {target.en} ({state.en})"),
        paragraphs=(
            Bilingual(
                f"{who.zh}在 {at} 对{target.zh}提出申诉，由{appeal.unit_name}决定，这是第 {appeal.case.level} 级。",
                f"At {at} {who.en} appealed against {target.en}. {appeal.unit_name} decides, as level {appeal.case.level}.",
            ),
            *_ended(appeal),
        ),
        facts=tuple(facts),
        figures=figures_of(rested_on, law),
        next_steps=tuple(_next(appeal, due, law, reader)),
        references=references_of(rested_on),
    )


def _ended(appeal: AppealView) -> Iterable[Bilingual]:
    if appeal.withdrawn is not None:
        at = instant(appeal.withdrawn.at)
        yield Bilingual(
            f"申诉已在 {at} 由申诉方撤回，没有作出决定。",
            f"It was taken back at {at}, and nothing was decided.",
        )
    elif appeal.decided is not None:
        at, state = instant(appeal.decided.at), STATES[appeal.state]
        yield Bilingual(
            f"{appeal.unit_name}在 {at} 决定：{state.zh}。理由：{appeal.decided.reasons}",
            f"At {at} {appeal.unit_name} decided: {state.en}. Reasons given: {appeal.decided.reasons}",
        )


def _next(appeal: AppealView, due: Due, law: StandingPolicy, reader: Reader) -> Iterable[Bilingual]:
    match appeal.state:
        case CaseState.OPEN:
            yield from _while_open(due, reader)
        case CaseState.UPHELD:
            yield from _restored(appeal)
        case CaseState.REJECTED:
            yield from _after_rejection(appeal, law, reader)
        case CaseState.WITHDRAWN:
            yield NOTHING_TO_DO


def _while_open(due: Due, reader: Reader) -> Iterable[Bilingual]:
    if due.at is not None:
        yield Bilingual(
            f"作出决定的期限到 {until(due.at)} 为止。", f"It is to be decided by {until(due.at)}."
        )
    else:
        why = blocker_words(f"calendar_year_missing:{due.missing_year}")
        yield Bilingual(f"{why.zh}。", f"{why.en[0].upper()}{why.en[1:]}.")
    yield Bilingual(
        "在决定之前，不会因为这件事自动执行任何处理。",
        "Until it is decided, nothing is carried out automatically in this matter.",
    )
    if reader is Reader.STUDENT:
        yield Bilingual(
            "您可以在申诉里补充说明和材料，也可以撤回申诉。",
            "You can add words and files to the appeal, or take it back.",
        )
    elif reader is Reader.SUPERIOR:
        yield Bilingual(
            "由受理单位审阅双方的说明和证据，在期限内作出决定并写明理由。",
            "The unit that decides reads both sides and the evidence, and decides in time, with reasons.",
        )


def _restored(appeal: AppealView) -> Iterable[Bilingual]:
    if appeal.filed.target == "check" and appeal.decided is not None:
        yield FINDINGS[appeal.decided.finding]
    if appeal.filed.target == "gaokao":
        yield Bilingual("报考资格按申诉结果认定。", "Eligibility is as the appeal found it.")
    else:
        yield Bilingual(
            "因此发生的学籍变动已撤销，原来的学籍状态、锁定和资助都恢复到变动之前。",
            "Whatever change of standing rested on it is undone: status, lock and aid are as they were before.",
        )
    yield NOTHING_TO_DO


def _after_rejection(appeal: AppealView, law: StandingPolicy, reader: Reader) -> Iterable[Bilingual]:
    assert appeal.decided is not None, "a rejection is a decision"
    yield Bilingual("原来的结果不变。", "The result stays as it was.")
    if appeal.case.level >= law.appeal_levels:
        yield Bilingual(
            "申诉的级数已用完，这件事到此为止。", "No level of appeal is left; the matter ends here."
        )
        return
    days = law.policy.integer("appeal.filing.days")
    last = (legal_day(appeal.decided.at) + timedelta(days=days)).isoformat()
    if reader.value == appeal.filed.appellant or (
        reader is Reader.REGISTRAR and appeal.filed.appellant == "school"
    ):
        yield Bilingual(
            f"如果不同意，可以向再上一级申诉，到 {last} 为止（含当天）。",
            f"If you disagree, carry the appeal one level up until {last}, that day included.",
        )
        if reader is Reader.STUDENT:
            yield HELP
    else:
        yield Bilingual(
            f"申诉方可以在 {last} 之前（含当天）向再上一级申诉。",
            f"The appellant may carry it one level up until {last}, that day included.",
        )


EXPLAINERS: Mapping[CaseKind, Callable[[AsyncSession, Actor, UUID], Awaitable[Explanation]]] = {
    "prompt": prompt_explained,
    "entry": entry_explained,
    "warning": warning_explained,
    "withdrawal": filing_explained,
    "appeal": appeal_explained,
}
"""Who explains what."""
