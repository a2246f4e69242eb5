"""Explain a ledger entry: the change, its cause, its consequences and what the reader can do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from backend.core.bilingual import Bilingual, format_end, format_instant
from backend.standing.engine.facts import Status
from backend.standing.explanations.citations import figures_of, references, references_of
from backend.standing.explanations.model import HELP, NOTHING_TO_DO, Explanation, FactLine, Reader
from backend.standing.explanations.phrases import (
    CAUSES,
    KINDS,
    blocker_words,
    delay_words,
    join_phrases,
    outcome_words,
    status_words,
)
from backend.standing.explanations.prompt import HumanDecision, PromptExplanationInput, decision_words
from backend.standing.policy import StandingPolicy

VERSION_SHOWN = 12
"""Leading characters of a policy version, enough to distinguish two versions."""


@dataclass(frozen=True, slots=True)
class EntryExplanationInput:
    """The stored ledger entry with what belongs to it. `law` is the policy of the entry's day."""

    at: datetime
    cause: str
    outcome: str
    before: Status
    after: Status
    policy_version: str
    trace: Mapping[str, Any]
    law: StandingPolicy
    prompt: PromptExplanationInput | None
    decision: HumanDecision | None
    decision_blockers: tuple[str, ...]
    """The blockers that stood when a person decided (reading 25)."""
    wait: tuple[datetime, tuple[str, ...]] | None
    """The deadline and the blockers after it, if an automatic execution waited."""
    reasons: str | None
    """The reasons of the appeal decision or of the reversal that caused the entry."""
    reversed_at: datetime | None
    aid_released_at: datetime | None
    aid_blockers: tuple[str, ...]
    appeal_until: date
    """The last day on which an appeal can be filed."""

    @property
    def is_sanction(self) -> bool:
        """Whether the outcome of a prompt was applied, by a decision or on expiry."""
        return self.cause in {"decision", "expiry"}


def explain_entry(entry: EntryExplanationInput, facts: Iterable[FactLine], reader: Reader) -> Explanation:
    """Explain one change of standing, or its reversal, to a reader."""
    cause = CAUSES[entry.cause]
    outcome = outcome_words(entry.law, entry.outcome)
    consequences = _consequence_paragraphs(entry) if entry.is_sanction else ()
    lock_clause = references(("HN334-4.1c",)) if entry.is_sanction else ()
    return Explanation(
        title=Bilingual(
            f"学籍异动：{outcome.zh}（{cause.zh}）", f"A change of standing: {outcome.en} ({cause.en})"
        ),
        paragraphs=(_status_paragraph(entry), *_cause_paragraphs(entry), *consequences),
        facts=tuple(facts),
        figures=figures_of(entry.trace, entry.law),
        next_steps=tuple(_next_steps(entry, reader)),
        references=(*references_of(entry.trace), *lock_clause),
    )


def _status_paragraph(entry: EntryExplanationInput) -> Bilingual:
    before = status_words(entry.before.standing, entry.before.study_form)
    after = status_words(entry.after.standing, entry.after.study_form)
    at = format_end(entry.at) if entry.cause == "expiry" else format_instant(entry.at)
    if entry.before == entry.after:
        return Bilingual(
            f"{at} 记入。学籍状态仍是：{after.zh}。", f"Recorded at {at}. The status stays: {after.en}."
        )
    return Bilingual(
        f"从 {at} 起，学籍状态由“{before.zh}”变为“{after.zh}”。",
        f"From {at} the status changed from “{before.en}” to “{after.en}”.",
    )


# --- the cause ---


def _cause_paragraphs(entry: EntryExplanationInput) -> Iterable[Bilingual]:
    if entry.prompt is not None and entry.is_sanction:
        kind, raised = KINDS[entry.prompt.kind], format_instant(entry.prompt.raised_at)
        yield Bilingual(
            f"起因是 {raised} 发出的提示：{kind.zh}。", f"It is based on a prompt of {raised}: {kind.en}."
        )
    match entry.cause:
        case "decision":
            yield from _decision_paragraphs(entry)
        case "expiry":
            yield from _expiry_paragraphs(entry)
        case "appeal":
            yield _append_reasons(
                entry,
                Bilingual(
                    "申诉成立，此前的异动被撤销。",
                    "An appeal was upheld and the earlier change was reversed.",
                ),
            )
        case "reversal":
            yield _append_reasons(
                entry,
                Bilingual(
                    "上级主管部门撤回了此前的自动执行。",
                    "The superior authority reversed the automatic execution.",
                ),
            )
        case _:
            yield Bilingual(
                "这是经办理和审批后登记的变更，不是因为提示。",
                "This change was filed and approved. It was not caused by a prompt.",
            )


def _decision_paragraphs(entry: EntryExplanationInput) -> Iterable[Bilingual]:
    assert entry.decision is not None, "an entry by decision names it"
    decision = decision_words(entry.decision, entry.law)
    yield Bilingual(f"这是人作出的决定。{decision.zh}", f"A person made this decision. {decision.en}")
    if entry.decision_blockers:
        why = join_phrases(blocker_words(code) for code in entry.decision_blockers)
        yield Bilingual(
            f"作出决定时还有事项未了结：{why.zh}。决定的理由须对此作出说明，上级主管部门已收到通知。",
            f"Matters were still open at the time: {why.en}. The reasons had to answer them, and the superior was notified.",
        )


def _expiry_paragraphs(entry: EntryExplanationInput) -> Iterable[Bilingual]:
    assert entry.prompt is not None, "an entry by expiry names its prompt"
    prompt, version = entry.prompt, entry.policy_version[:VERSION_SHOWN]
    delivered = format_instant(prompt.delivered_at) if prompt.delivered_at else "—"
    if entry.wait is None:
        yield Bilingual(
            f"学校在 {delivered} 收到提示，处理期限到 {format_end(entry.at)} 为止。到时没有人作出决定，也没有需要暂缓的事项，"
            "系统就按规定执行了提示的建议。",
            f"The school received the prompt at {delivered}, and the deadline ended at {format_end(entry.at)}. There was no decision"
            " and nothing blocked it, so the proposal was carried out under the rules.",
        )
    else:
        delay, at = delay_words(*entry.wait), format_instant(entry.at)
        yield Bilingual(
            f"学校在 {delivered} 收到提示，没有人作出决定。{delay.zh}。这些事项在 {at} 了结，提示的依据仍在，系统就按规定执行了提示的建议。",
            f"The school received the prompt at {delivered}, and there was no decision. {delay.en[0].upper()}{delay.en[1:]}. That was settled"
            f" at {at} and the prompt still had its basis, so the proposal was carried out under the rules.",
        )
    yield Bilingual(
        f"这算作主管部门的决定，由主管部门负责。适用的政策版本：{version}。根据个人信息保护法第二十四条，通过自动化决策方式作出对个人权益"
        "有重大影响的决定，您有权要求予以说明，并有权拒绝仅通过自动化决策的方式作出决定。提出申诉后，由人重新审查并作出决定。",
        f"It counts as a decision of the authority, which is responsible for it. Policy version: {version}. Under article 24 of the"
        " Personal Information Protection Law, where an automated decision has a major effect on your rights, you may ask for an"
        " explanation and refuse a decision made by automated means alone. If you appeal, a person reviews the case and decides.",
    )


def _append_reasons(entry: EntryExplanationInput, words: Bilingual) -> Bilingual:
    if not (entry.reasons or "").strip():
        return words
    return Bilingual(f"{words.zh}理由：{entry.reasons}", f"{words.en} Reasons given: {entry.reasons}")


# --- the consequences of a sanction ---


def _consequence_paragraphs(entry: EntryExplanationInput) -> Iterable[Bilingual]:
    if entry.reversed_at is not None:
        at = format_instant(entry.reversed_at)
        yield Bilingual(
            f"这次异动已在 {at} 被撤销，原来的状态已经恢复，下面说的都不再有效。",
            f"It was reversed at {at}: the earlier status is restored, and the following no longer applies.",
        )
    items = join_phrases(outcome_words(entry.law, code) for code in entry.law.locked_items)
    yield Bilingual(
        f"异动之后，{items.zh}都要逐级报省教育厅批准。批准一次，只能异动一次。申诉恢复不受限制。",
        f"After this change, {items.en} need the approval of every level up to the province. One approval allows one change."
        " A restoration by appeal needs no approval.",
    )
    if entry.aid_released_at is not None:
        at = format_instant(entry.aid_released_at)
        yield Bilingual(
            f"本学期还没有发放的资助，从 {at} 起由学校申请撤回。已经发放的不受影响。",
            f"From {at} the school files the withdrawal of this term's aid that is not paid yet. Aid already paid is not"
            " affected.",
        )
    elif entry.aid_blockers:
        why = join_phrases(blocker_words(code) for code in entry.aid_blockers)
        yield Bilingual(
            f"资助现在不撤回，因为：{why.zh}。", f"Aid is not withdrawn for now, because: {why.en}."
        )


def _next_steps(entry: EntryExplanationInput, reader: Reader) -> Iterable[Bilingual]:
    if not entry.is_sanction or entry.reversed_at is not None:
        yield NOTHING_TO_DO
        return
    until_day, levels = entry.appeal_until.isoformat(), entry.law.appeal_levels
    match reader:
        case Reader.STUDENT:
            yield Bilingual(
                f"如果您不同意，可以向学校的上级主管部门申诉，到 {until_day} 为止（含当天）。一共可以逐级申诉 {levels} 级。",
                f"If you disagree, appeal to the superior of your school until {until_day}, that day included. There are"
                f" {levels} levels of appeal.",
            )
            yield Bilingual(
                "申诉成立的，恢复原来的学籍状态；因这次异动撤回的资助也一并恢复。",
                "If the appeal is upheld, your earlier status is restored, and so is the aid that was withdrawn because of the change.",
            )
            yield HELP
        case Reader.SUPERIOR if entry.cause == "expiry":
            yield Bilingual(
                "请核查。如有不当，学校的上级主管部门可以一步撤回这次自动执行，并写明理由。",
                "Check it. If it is not right, the school's superior can reverse the execution in one step, with reasons.",
            )
        case Reader.SUPERIOR:
            yield Bilingual(
                "学生或学校提出申诉时，请按期限答复。",
                "If the student or the school appeals, decide within the deadline.",
            )
        case _:
            yield Bilingual(
                f"请当面向学生说明，并告知可以在 {until_day} 之前申诉。学校也可以申诉。",
                f"Explain it to the student in person, including the right to appeal until {until_day}. The school can"
                " appeal too.",
            )
