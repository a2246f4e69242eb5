"""Entries of the ledger in plain words: what changed, who or what caused it, and what remains open to whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from backend.standing.engine.facts import Status
from backend.standing.explanations.citations import figures_of, references, references_of
from backend.standing.explanations.phrases import (
    CAUSES,
    KINDS,
    Bilingual,
    blocker_words,
    instant,
    joined,
    outcome_words,
    status_words,
    until,
)
from backend.standing.explanations.prompt import (
    HELP,
    NOTHING_TO_DO,
    Explanation,
    FactLine,
    PersonsDecision,
    PromptCase,
    Reader,
    decision_words,
)
from backend.standing.policy import StandingPolicy

VERSION_SHOWN = 12
"""Leading characters of a policy version: enough to tell two apart."""


@dataclass(frozen=True, slots=True)
class EntryCase:
    """An entry as it is stored. `law` is that of its day."""

    at: datetime
    cause: str
    outcome: str
    before: Status
    after: Status
    policy_version: str
    trace: Mapping[str, Any]
    law: StandingPolicy
    prompt: PromptCase | None
    decision: PersonsDecision | None
    reasons: str | None
    """Of an appeal's decision, or of whoever took an execution back."""
    reversed_at: datetime | None
    aid_released_at: datetime | None
    aid_blockers: tuple[str, ...]
    appeal_until: date
    """The last day on which an appeal may be filed."""

    @property
    def sanction(self) -> bool:
        return self.cause in {"decision", "expiry"}


def explain_entry(case: EntryCase, facts: Iterable[FactLine], reader: Reader) -> Explanation:
    """One change of standing, or its reversal."""
    cause = CAUSES[case.cause]
    outcome = outcome_words(case.law, case.outcome)
    consequences = _consequences(case) if case.sanction else ()
    locked = references(("HN334-4.1c",)) if case.sanction else ()
    return Explanation(
        title=Bilingual(
            f"学籍变动：{outcome.zh}（{cause.zh}）", f"A change of standing: {outcome.en} ({cause.en})"
        ),
        paragraphs=(_change(case), *_why(case), *consequences),
        facts=tuple(facts),
        figures=figures_of(case.trace, case.law),
        next_steps=tuple(_next(case, reader)),
        references=(*references_of(case.trace), *locked),
    )


def _change(case: EntryCase) -> Bilingual:
    before = status_words(case.before.standing, case.before.study_form)
    after = status_words(case.after.standing, case.after.study_form)
    at = until(case.at) if case.cause == "expiry" else instant(case.at)
    if case.before == case.after:
        return Bilingual(
            f"{at} 记入。学籍状态仍是：{after.zh}。", f"Recorded at {at}. The status stays: {after.en}."
        )
    return Bilingual(
        f"从 {at} 起，学籍状态由“{before.zh}”变为“{after.zh}”。",
        f"From {at} the status changed from “{before.en}” to “{after.en}”.",
    )


# --- why ---


def _why(case: EntryCase) -> Iterable[Bilingual]:
    if case.prompt is not None and case.sanction:
        kind, raised = KINDS[case.prompt.kind], instant(case.prompt.raised_at)
        yield Bilingual(
            f"起因是 {raised} 发出的提示：{kind.zh}。", f"It goes back to a prompt of {raised}: {kind.en}."
        )
    match case.cause:
        case "decision":
            yield _decided(case)
        case "expiry":
            yield from _expired(case)
        case "appeal":
            yield _with_reasons(
                case,
                Bilingual(
                    "申诉成立，此前的变动被撤销。", "An appeal was upheld and the earlier change was undone."
                ),
            )
        case "reversal":
            yield _with_reasons(
                case,
                Bilingual(
                    "上级主管部门撤回了此前的自动执行。", "The authority took the automatic execution back."
                ),
            )
        case _:
            yield Bilingual(
                "这是经办理和审批后登记的变更，不是因为提示。",
                "This was filed and approved as a change of the record; no prompt caused it.",
            )


def _decided(case: EntryCase) -> Bilingual:
    assert case.decision is not None, "an entry by decision names it"
    made = decision_words(case.decision, case.law)
    return Bilingual(f"这是人作出的决定。{made.zh}", f"A person decided this. {made.en}")


def _expired(case: EntryCase) -> Iterable[Bilingual]:
    assert case.prompt is not None, "an entry by expiry names its prompt"
    prompt, version = case.prompt, case.policy_version[:VERSION_SHOWN]
    delivered = instant(prompt.delivered_at) if prompt.delivered_at else "—"
    yield Bilingual(
        f"学校在 {delivered} 收到提示，{prompt.law.deadline_days} 个工作日的期限到 {until(case.at)} 为止。到时没有人作出决定，"
        "也没有需要暂缓的事项，系统就按规定执行了提示的建议。",
        f"The school received the prompt at {delivered}; its {prompt.law.deadline_days} working days ended at {until(case.at)}."
        " Nobody had decided and nothing held it up, so the proposal was carried out as the rule says.",
    )
    yield Bilingual(
        f"这算作主管部门的决定，由主管部门负责。适用的政策版本：{version}。按规则自动作出的决定，您有权要求说明和人工复核"
        "（个人信息保护法第二十四条）。",
        f"It counts as the authority's decision, and the authority answers for it. Policy version: {version}. Of a decision"
        " made by rule you may ask for an explanation and for a person to look at it (PIPL art. 24).",
    )


def _with_reasons(case: EntryCase, words: Bilingual) -> Bilingual:
    if not (case.reasons or "").strip():
        return words
    return Bilingual(f"{words.zh}理由：{case.reasons}", f"{words.en} Reasons given: {case.reasons}")


# --- what follows from a sanction ---


def _consequences(case: EntryCase) -> Iterable[Bilingual]:
    if case.reversed_at is not None:
        at = instant(case.reversed_at)
        yield Bilingual(
            f"这次变动已在 {at} 被撤销，原来的状态已经恢复，下面说的都不再有效。",
            f"It was undone at {at}: the earlier status is restored, and nothing of the following holds any more.",
        )
    items = joined(outcome_words(case.law, code) for code in case.law.locked_items)
    yield Bilingual(
        f"变动之后，{items.zh}都要逐级报省教育厅批准。批准一次，只能变动一次。申诉恢复不受限制。",
        f"After it, {items.en} need the province's approval, level by level. One approval allows one change. A"
        " restoration by appeal needs none.",
    )
    if case.aid_released_at is not None:
        at = instant(case.aid_released_at)
        yield Bilingual(
            f"本学期还没有发放的资助，从 {at} 起由学校申请撤回。已经发放的不受影响。",
            f"From {at} the school files the withdrawal of this term's aid that is not paid yet. What was paid is not"
            " touched.",
        )
    elif case.aid_blockers:
        why = joined(blocker_words(code) for code in case.aid_blockers)
        yield Bilingual(
            f"资助现在不撤回，因为：{why.zh}。", f"Aid is not withdrawn for now, because: {why.en}."
        )


def _next(case: EntryCase, reader: Reader) -> Iterable[Bilingual]:
    if not case.sanction or case.reversed_at is not None:
        yield NOTHING_TO_DO
        return
    until_day, levels = case.appeal_until.isoformat(), case.law.appeal_levels
    match reader:
        case Reader.STUDENT:
            yield Bilingual(
                f"如果您不同意，可以向学校的上级主管部门申诉，到 {until_day} 为止（含当天）。一共可以逐级申诉 {levels} 级。",
                f"If you disagree, appeal to the superior of your school until {until_day}, that day included. There are"
                f" {levels} levels of appeal.",
            )
            yield Bilingual(
                "申诉成立的，恢复原来的学籍状态；因这次变动撤回的资助也一并恢复。",
                "If the appeal is upheld, your earlier status is restored, and so is the aid that the change withdrew.",
            )
            yield HELP
        case Reader.SUPERIOR if case.cause == "expiry":
            yield Bilingual(
                "请核查。如有不当，学校的上级主管部门可以一步撤回这次自动执行，并写明理由。",
                "Check it. If it is not right, the school's superior takes the execution back in one step, with reasons.",
            )
        case Reader.SUPERIOR:
            yield Bilingual(
                "学生或学校提出申诉时，请按期限答复。",
                "If the student or the school appeals, answer in time.",
            )
        case _:
            yield Bilingual(
                f"请当面向学生说明，并告知可以在 {until_day} 之前申诉。学校也可以申诉。",
                f"Explain it to the student in person, also that an appeal is open until {until_day}. The school may"
                " appeal too.",
            )
