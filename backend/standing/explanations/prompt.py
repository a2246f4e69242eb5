"""Explain a prompt: the trigger, the rule and facts, the state, what comes next and what the reader can do.

PIPL art. 24, reading 13. Pure: stored values in, sentences out. No scores and no threats. Readers may be sixteen years
old, so sentences are short. `change` explains ledger entries and `warning` explains warnings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.core.bilingual import Bilingual, format_end, format_instant, term_words
from backend.standing.explanations.citations import figure_value, figures_of, references_of
from backend.standing.explanations.model import HELP, NOTHING_TO_DO, Explanation, FactLine, Reader
from backend.standing.explanations.phrases import (
    KINDS,
    PROMPT_GROUNDS,
    ROLES,
    WITHDRAWN_BECAUSE,
    blocker_words,
    join_phrases,
    outcome_words,
    reason_words,
)
from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class HumanDecision:
    """A person's decision on a prompt. `role` is registrar or superior."""

    role: str
    outcome: str
    reasons: str
    found_reason: str | None
    found_text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PromptExplanationInput:
    """The stored prompt with its step in effect and the policy of its event day."""

    kind: str
    term: str
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]
    raised_at: datetime
    proposed: str
    trace: Mapping[str, Any]
    state: str
    delivered_at: datetime | None
    due_at: datetime | None
    blockers: tuple[str, ...]
    closed_at: datetime | None
    closed_by: str | None
    decision: HumanDecision | None
    """The decision that closed the prompt, or the dismissal that waits for the superior's answer."""
    law: StandingPolicy

    @property
    def proposal(self) -> Bilingual:
        """The text of the proposed outcome."""
        return outcome_words(self.law, self.proposed)


def explain_prompt(prompt: PromptExplanationInput, facts: Iterable[FactLine], reader: Reader) -> Explanation:
    """Explain an open or closed prompt to a reader."""
    kind, term = KINDS[prompt.kind], term_words(prompt.term)
    return Explanation(
        title=Bilingual(
            f"学籍处理提示：{kind.zh}（{term.zh}）", f"A prompt on standing: {kind.en} ({term.en})"
        ),
        paragraphs=(
            _trigger_paragraph(prompt),
            _proposal_paragraph(prompt),
            _state_paragraph(prompt),
            *_blocker_paragraphs(prompt),
        ),
        facts=tuple(facts),
        figures=figures_of(prompt.trace, prompt.law),
        next_steps=(*_upcoming_steps(prompt), *_reader_steps(prompt, reader)),
        references=references_of(prompt.trace),
    )


# --- the trigger ---


def _trigger_paragraph(prompt: PromptExplanationInput) -> Bilingual:
    grounds = join_phrases(PROMPT_GROUNDS[ground] for ground in prompt.grounds)
    at = format_instant(prompt.raised_at)
    return Bilingual(
        f"{_TRIGGER_TEXTS[prompt.kind](prompt).zh}{grounds.zh}，因此系统在 {at} 向学校发出了这条提示。",
        f"{_TRIGGER_TEXTS[prompt.kind](prompt).en} {grounds.en[0].upper()}{grounds.en[1:]}, so the school was sent this prompt at {at}.",
    )


def _describe_misses(prompt: PromptExplanationInput) -> Bilingual:
    number, term = len(prompt.evidence), term_words(prompt.term)
    return Bilingual(
        f"{term.zh}里，上级发起的核验中有 {number} 次没有按时完成。",
        f"In the {term.en}, {number} checks launched by a superior were not passed in time.",
    )


def _describe_leave(prompt: PromptExplanationInput) -> Bilingual:
    day, term = figure_value(prompt.trace, "leave.suspension_prompt_from"), term_words(prompt.term)
    reached = prompt.trace["event_day"]
    return Bilingual(
        f"{term.zh}里，请假累计在 {reached} 到了第 {day} 天。",
        f"In the {term.en}, leave reached day {day} on {reached}.",
    )


def _describe_absence(prompt: PromptExplanationInput) -> Bilingual:
    months, first = figure_value(prompt.trace, "absence.withdrawal_after"), prompt.trace["event_day"]
    return Bilingual(
        f"从 {first} 起有未请假缺席的记录，此后超过 {months} 个月没有到校的记录，也没有批准的请假。",
        f"Absence without leave is on record from {first}; for more than {months} months after it there is no record of"
        " presence and no approved leave.",
    )


_TRIGGER_TEXTS = {
    "misses": _describe_misses,
    "leave_over_cap": _describe_leave,
    "absence_without_leave": _describe_absence,
}


def _proposal_paragraph(prompt: PromptExplanationInput) -> Bilingual:
    return Bilingual(
        f"提示建议的处理是：{prompt.proposal.zh}。这只是建议。学校要先核实情况，再作决定。",
        f"The prompt proposes: {prompt.proposal.en}. This is only a proposal. The school checks the facts first and"
        " then decides.",
    )


# --- the state ---


def _state_paragraph(prompt: PromptExplanationInput) -> Bilingual:
    template = _STATE_TEXTS[prompt.state]
    values = {
        "delivered": format_instant(prompt.delivered_at) if prompt.delivered_at else "—",
        "due": format_end(prompt.due_at) if prompt.due_at else "—",
        "closed": format_instant(prompt.closed_at) if prompt.closed_at else "—",
    }
    words = Bilingual(template.zh.format(**values), template.en.format(**values))
    if prompt.state == "withdrawn":
        why = WITHDRAWN_BECAUSE[prompt.closed_by or ""]
        words = Bilingual(words.zh + why.zh, f"{words.en} {why.en}")
    if prompt.decision is not None:
        decision = decision_words(prompt.decision, prompt.law)
        words = Bilingual(words.zh + decision.zh, f"{words.en} {decision.en}")
    return words


_STATE_TEXTS: Mapping[str, Bilingual] = {
    "undelivered": Bilingual(
        "学校还没有确认收到提示。处理期限从确认收到的第二天开始算。",
        "The school has not confirmed the receipt yet. The deadline starts on the day after it does.",
    ),
    "running": Bilingual(
        "学校已在 {delivered} 收到提示，正在处理。",
        "The school received the prompt at {delivered} and is working on it.",
    ),
    "dismissal_pending": Bilingual(
        "学校认为有正当理由，建议免予处理，正在等上级答复。",
        "The school found a justified reason and wants to dismiss the prompt. The superior has not answered yet.",
    ),
    "blocked": Bilingual(
        "处理期限已在 {due} 结束。因为还有事项没有了结，所以暂缓执行。",
        "The deadline ended at {due}. Some matters are still open, so nothing is carried out for now.",
    ),
    "escalated": Bilingual(
        "处理期限已在 {due} 结束，学校没有决定。现在由上级主管部门决定。",
        "The deadline ended at {due} without a decision by the school. The superior decides now.",
    ),
    "decided": Bilingual("已在 {closed} 作出决定。", "It was decided at {closed}."),
    "executed": Bilingual(
        "处理期限在 {due} 结束时没有人作出决定，系统按规定执行了提示的建议。",
        "The deadline ended at {due} without a decision, and the proposal was carried out under the rules.",
    ),
    "dismissed": Bilingual(
        "已在 {closed} 免予处理。不会再因为这条提示改变学籍。",
        "It was dismissed at {closed}. Nothing will follow from this prompt.",
    ),
    "withdrawn": Bilingual("提示已在 {closed} 撤回。", "It was withdrawn at {closed}."),
}


def decision_words(decision: HumanDecision, law: StandingPolicy) -> Bilingual:
    """Who decided, when, which outcome and why."""
    role, outcome, at = (
        ROLES[decision.role],
        outcome_words(law, decision.outcome),
        format_instant(decision.at),
    )
    zh, en = f"{role.zh}在 {at} 选择：{outcome.zh}。", f"At {at} {role.en} chose: {outcome.en}."
    if decision.found_reason is not None:
        reason = reason_words(law, decision.found_reason)
        zh, en = f"{zh}认定的正当理由：{reason.zh}。", f"{en} The justified reason: {reason.en}."
    reasons = "；".join(part for part in (decision.reasons.strip(), decision.found_text.strip()) if part)
    if reasons:
        zh, en = f"{zh}说明：{reasons}", f"{en} Their reasons: {reasons}"
    return Bilingual(zh, en)


def _blocker_paragraphs(prompt: PromptExplanationInput) -> Iterable[Bilingual]:
    """One paragraph for each current blocker of the automatic execution."""
    for code in prompt.blockers:
        words = blocker_words(code)
        yield Bilingual(
            f"{words.zh}：这件事了结之前，不会自动执行。",
            f"{words.en[0].upper()}{words.en[1:]}: until that is settled, nothing is carried out automatically.",
        )


# --- what comes next ---


def _upcoming_steps(prompt: PromptExplanationInput) -> Iterable[Bilingual]:
    days = prompt.law.deadline_days
    if prompt.state == "undelivered":
        yield Bilingual(
            f"学校确认收到后，有 {days} 个工作日作决定。",
            f"Once the school confirms the receipt, it has {days} working days to decide.",
        )
    elif prompt.state in {"running", "dismissal_pending"} and prompt.due_at is not None:
        end = _ON_EXPIRY_TEXTS[prompt.law.on_expiry]
        due, outcome = format_end(prompt.due_at), prompt.proposal
        yield Bilingual(
            f"处理期限到 {due} 为止。{end.zh.format(outcome=outcome.zh)}",
            f"The deadline ends at {due}. {end.en.format(outcome=outcome.en)}",
        )
    elif prompt.state == "blocked":
        yield Bilingual(
            "上面的事项都了结后，如果提示的依据还在，再按规定执行。",
            "Once everything above is settled, the proposal is carried out if the prompt still has its basis.",
        )


_ON_EXPIRY_TEXTS: Mapping[str, Bilingual] = {
    "execute": Bilingual(
        "到时仍没有决定、也没有需要暂缓的事项的，按规定执行提示的建议：{outcome}。",
        "If there is no decision by then and nothing blocks it, the proposal is carried out: {outcome}.",
    ),
    "escalate": Bilingual(
        "到时仍没有决定的，由上级主管部门决定。", "If there is no decision by then, the superior decides."
    ),
}


# --- what the reader can do ---


def _reader_steps(prompt: PromptExplanationInput, reader: Reader) -> Iterable[Bilingual]:
    if prompt.closed_at is not None:
        yield from _closed_steps(prompt, reader)
        return
    match reader:
        case Reader.STUDENT:
            yield from _student_steps(prompt)
        case Reader.COUNSELOR:
            yield Bilingual(
                "请尽快联系学生，了解情况，提醒学生说明理由，需要时帮助学生提交。",
                "Get in touch with the student soon, and help with a statement or a claim.",
            )
        case Reader.REGISTRAR:
            yield _REGISTRAR_STEPS[prompt.state]
        case Reader.SUPERIOR:
            yield _SUPERIOR_STEPS.get(prompt.state, NOTHING_TO_DO)


def _student_steps(prompt: PromptExplanationInput) -> Iterable[Bilingual]:
    yield Bilingual(
        "您可以写情况说明。作决定的人会看到。请在作出决定之前提交。",
        "You can write a statement. It will be read before the decision, so send it in time.",
    )
    if prompt.kind == "misses":
        reasons = join_phrases(reason_words(prompt.law, code) for code in prompt.law.reasons)
        yield Bilingual(
            f"如果当时有正当理由（{reasons.zh}），请对那次核验提出正当理由申请。答复之前不会自动执行。",
            f"If you had a justified reason ({reasons.en}), claim it against that check. Nothing is carried out"
            " automatically before the answer.",
        )
        yield Bilingual(
            "如果您认为核验结果不对，可以向学校的上级主管部门申诉。这条提示没有了结之前都可以申诉；申诉没有结果之前不会自动执行。",
            "If you think that a result is wrong, appeal to the superior of your school. You can do so for as long as this"
            " prompt is open, and nothing is carried out automatically before the appeal is decided.",
        )
    elif prompt.kind == "leave_over_cap":
        yield Bilingual(
            "如果您其实已经提前返校，请让辅导员核对销假时间。",
            "If you came back earlier, ask your counselor to check the recorded return.",
        )
    else:
        yield Bilingual(
            "请尽快到校，或联系辅导员。如果您那段时间其实在校，请联系辅导员更正记录。",
            "Come to school or contact your counselor soon. If you were at school during that time, ask for the record to be corrected.",
        )
    yield HELP


_REGISTRAR_STEPS: Mapping[str, Bilingual] = {
    "undelivered": Bilingual(
        "请先确认收到这条提示，再核实情况。",
        "Confirm the receipt of this prompt first, then check the facts.",
    ),
    "dismissal_pending": Bilingual("请等待上级答复。", "Wait for the superior's answer."),
    "escalated": Bilingual(
        "现在由上级主管部门决定，请配合核实。", "The superior decides now. Help to check the facts."
    ),
    **dict.fromkeys(
        ("running", "blocked"),
        Bilingual(
            "请核实情况后选择：同意提示的建议；选择其他处理并写明理由；或认定正当理由、免予处理（须上级答复）。",
            "Check the facts and choose: confirm the proposal; choose another outcome and give reasons; or find a"
            " justified reason and dismiss it, which the superior must answer.",
        ),
    ),
}

_SUPERIOR_STEPS: Mapping[str, Bilingual] = {
    "dismissal_pending": Bilingual(
        "请学校的上级主管部门答复：同意或不同意免予处理。",
        "The school's superior answers: agree to the dismissal, or not.",
    ),
    "escalated": Bilingual(
        "请学校的上级主管部门决定：同意建议、选择其他处理并写明理由，或认定正当理由、免予处理。",
        "The school's superior decides: confirm, choose another outcome with reasons, or dismiss for a justified reason.",
    ),
    "undelivered": Bilingual(
        "请督促学校确认收到。如已用其他方式送达，请登记送达。",
        "Urge the school to confirm the receipt; record a delivery made in another way.",
    ),
}


def _closed_steps(prompt: PromptExplanationInput, reader: Reader) -> Iterable[Bilingual]:
    if reader is Reader.STUDENT and prompt.state in {"decided", "executed"}:
        yield Bilingual(
            "如果您不同意，可以就这次学籍异动申诉。申诉的办法和期限，请看这次异动的说明。",
            "If you disagree, you can appeal against the change. Its own explanation says how to appeal and until when.",
        )
        yield HELP
    else:
        yield NOTHING_TO_DO
