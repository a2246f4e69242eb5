"""Prompts in plain words: what was found, by which rule, on which facts, what comes next, what the reader can do.

PIPL art. 24, reading 13. Pure: stored rows in, sentences out; no score and no threat. Whoever reads may be sixteen, so
sentences are short. `explaining_changes` tells of the ledger, `explaining_warnings` of warnings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from backend.standing.explanations.citations import Figure, Reference, figure_value, figures_of, references_of
from backend.standing.explanations.phrases import (
    GROUNDS,
    KINDS,
    ROLES,
    WITHDRAWN_BECAUSE,
    Bilingual,
    blocker_words,
    instant,
    joined,
    outcome_words,
    reason_words,
    term_words,
    until,
)
from backend.standing.policy import StandingPolicy


@dataclass(frozen=True, slots=True)
class FactLine:
    """A fact that a result rests on; `key` is that of the trace (`check:…`, `leave:…`, …)."""

    key: str
    words: Bilingual


@dataclass(frozen=True, slots=True)
class Explanation:
    """A result in plain words."""

    title: Bilingual
    paragraphs: tuple[Bilingual, ...]
    facts: tuple[FactLine, ...]
    figures: tuple[Figure, ...]
    next_steps: tuple[Bilingual, ...]
    references: tuple[Reference, ...]


class Reader(StrEnum):
    """Who reads, as far as it changes what the reader can do now."""

    STUDENT = "student"
    COUNSELOR = "counselor"
    REGISTRAR = "registrar"
    SUPERIOR = "superior"


def reader_of(account_kind: str) -> Reader:
    """By the kind of account; bureau and province are superiors."""
    return Reader.SUPERIOR if account_kind in {"bureau", "province"} else Reader(account_kind)


@dataclass(frozen=True, slots=True)
class PersonsDecision:
    """What a person decided on a prompt. `role` is registrar or superior."""

    role: str
    outcome: str
    reasons: str
    found_reason: str | None
    found_text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PromptCase:
    """A prompt as it is stored, with the step in effect and the law of its event day."""

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
    decision: PersonsDecision | None
    """The one that closed it, or that waits for the superior's answer."""
    law: StandingPolicy

    @property
    def proposal(self) -> Bilingual:
        return outcome_words(self.law, self.proposed)


def explain_prompt(case: PromptCase, facts: Iterable[FactLine], reader: Reader) -> Explanation:
    """A prompt, open or closed."""
    kind, term = KINDS[case.kind], term_words(case.term)
    return Explanation(
        title=Bilingual(
            f"学籍处理提示：{kind.zh}（{term.zh}）", f"A prompt on standing: {kind.en} ({term.en})"
        ),
        paragraphs=(_found(case), _proposed(case), _state(case), *_held_up(case)),
        facts=tuple(facts),
        figures=figures_of(case.trace, case.law),
        next_steps=(*_what_follows(case), *_what_to_do(case, reader)),
        references=references_of(case.trace),
    )


# --- what was found ---


def _found(case: PromptCase) -> Bilingual:
    grounds = joined(GROUNDS[ground] for ground in case.grounds)
    at = instant(case.raised_at)
    return Bilingual(
        f"{_FOUND[case.kind](case).zh}{grounds.zh}，因此系统在 {at} 向学校发出了这条提示。",
        f"{_FOUND[case.kind](case).en} {grounds.en[0].upper()}{grounds.en[1:]}, so the school was sent this prompt at {at}.",
    )


def _found_misses(case: PromptCase) -> Bilingual:
    number, term = len(case.evidence), term_words(case.term)
    return Bilingual(
        f"{term.zh}里，上级发起的核验中有 {number} 次没有按时完成。",
        f"In the {term.en}, {number} checks launched by a superior were not passed in time.",
    )


def _found_leave(case: PromptCase) -> Bilingual:
    day, term = figure_value(case.trace, "leave.suspension_prompt_from"), term_words(case.term)
    reached = case.trace["event_day"]
    return Bilingual(
        f"{term.zh}里，请假累计在 {reached} 到了第 {day} 天。",
        f"In the {term.en}, leave reached its day {day} on {reached}.",
    )


def _found_absence(case: PromptCase) -> Bilingual:
    months, first = figure_value(case.trace, "absence.withdrawal_after"), case.trace["event_day"]
    return Bilingual(
        f"从 {first} 起有未请假缺席的记录，此后超过 {months} 个月没有到校的记录，也没有批准的请假。",
        f"Absence without leave is on record from {first}; for more than {months} months after it there is no record of"
        " presence and no approved leave.",
    )


_FOUND = {"misses": _found_misses, "leave_over_cap": _found_leave, "absence_without_leave": _found_absence}


def _proposed(case: PromptCase) -> Bilingual:
    return Bilingual(
        f"提示建议的处理是：{case.proposal.zh}。这只是建议。学校要先核实情况，再作决定。",
        f"The prompt proposes: {case.proposal.en}. That is a proposal only. The school looks into the case first and"
        " then decides.",
    )


# --- where it stands ---


def _state(case: PromptCase) -> Bilingual:
    said = _STATES[case.state]
    values = {
        "delivered": instant(case.delivered_at) if case.delivered_at else "—",
        "due": until(case.due_at) if case.due_at else "—",
        "closed": instant(case.closed_at) if case.closed_at else "—",
    }
    words = Bilingual(said.zh.format(**values), said.en.format(**values))
    if case.state == "withdrawn":
        why = WITHDRAWN_BECAUSE[case.closed_by or ""]
        words = Bilingual(words.zh + why.zh, f"{words.en} {why.en}")
    if case.decision is not None:
        made = decision_words(case.decision, case.law)
        words = Bilingual(words.zh + made.zh, f"{words.en} {made.en}")
    return words


_STATES: Mapping[str, Bilingual] = {
    "undelivered": Bilingual(
        "学校还没有确认收到提示。处理期限从确认收到的第二天开始算。",
        "The school has not confirmed the receipt yet. The deadline runs from the day after it does.",
    ),
    "running": Bilingual(
        "学校已在 {delivered} 收到提示，正在处理。",
        "The school received the prompt at {delivered} and is on it.",
    ),
    "dismissal_pending": Bilingual(
        "学校认为有正当理由，建议免予处理，正在等上级答复。",
        "The school found a justified reason and would dismiss the prompt; it waits for the superior's answer.",
    ),
    "blocked": Bilingual(
        "处理期限已在 {due} 结束。因为还有事项没有了结，所以暂缓执行。",
        "The deadline ended at {due}. Something is still open, so nothing is carried out for now.",
    ),
    "escalated": Bilingual(
        "处理期限已在 {due} 结束，学校没有决定。现在由上级主管部门决定。",
        "The deadline ended at {due} and the school did not decide. The superior decides now.",
    ),
    "decided": Bilingual("已在 {closed} 作出决定。", "It was decided at {closed}."),
    "executed": Bilingual(
        "处理期限在 {due} 结束时没有人作出决定，系统按规定执行了提示的建议。",
        "Nobody had decided when the deadline ended at {due}, and the proposal was carried out as the rule says.",
    ),
    "dismissed": Bilingual(
        "已在 {closed} 免予处理。不会再因为这条提示改变学籍。",
        "It was dismissed at {closed}. Nothing will follow from this prompt.",
    ),
    "withdrawn": Bilingual("提示已在 {closed} 撤回。", "It was withdrawn at {closed}."),
}


def decision_words(made: PersonsDecision, law: StandingPolicy) -> Bilingual:
    """Who decided what, when and why."""
    role, outcome, at = ROLES[made.role], outcome_words(law, made.outcome), instant(made.at)
    zh, en = f"{role.zh}在 {at} 选择：{outcome.zh}。", f"At {at} {role.en} chose: {outcome.en}."
    if made.found_reason is not None:
        reason = reason_words(law, made.found_reason)
        zh, en = f"{zh}认定的正当理由：{reason.zh}。", f"{en} The justified reason: {reason.en}."
    told = "；".join(part for part in (made.reasons.strip(), made.found_text.strip()) if part)
    if told:
        zh, en = f"{zh}说明：{told}", f"{en} In their words: {told}"
    return Bilingual(zh, en)


def _held_up(case: PromptCase) -> Iterable[Bilingual]:
    """What holds an automatic execution up right now, one by one."""
    for code in case.blockers:
        words = blocker_words(code)
        yield Bilingual(
            f"{words.zh}：这件事了结之前，不会自动执行。",
            f"{words.en[0].upper()}{words.en[1:]}: until that is settled, nothing is carried out automatically.",
        )


# --- what comes next ---


def _what_follows(case: PromptCase) -> Iterable[Bilingual]:
    days = case.law.deadline_days
    if case.state == "undelivered":
        yield Bilingual(
            f"学校确认收到后，有 {days} 个工作日作决定。",
            f"Once the school confirms the receipt, it has {days} working days to decide.",
        )
    elif case.state in {"running", "dismissal_pending"} and case.due_at is not None:
        end = _AT_THE_END[case.law.on_expiry]
        due, outcome = until(case.due_at), case.proposal
        yield Bilingual(
            f"处理期限到 {due} 为止。{end.zh.format(outcome=outcome.zh)}",
            f"The deadline ends at {due}. {end.en.format(outcome=outcome.en)}",
        )
    elif case.state == "blocked":
        yield Bilingual(
            "上面的事项都了结后，如果提示的依据还在，再按规定执行。",
            "Once everything above is settled, the proposal is carried out if the prompt still has its basis.",
        )


_AT_THE_END: Mapping[str, Bilingual] = {
    "execute": Bilingual(
        "到时仍没有决定、也没有需要暂缓的事项的，按规定执行提示的建议：{outcome}。",
        "If nothing is decided by then and nothing holds it up, the proposal is carried out: {outcome}.",
    ),
    "escalate": Bilingual(
        "到时仍没有决定的，由上级主管部门决定。", "If nothing is decided by then, the superior decides."
    ),
}


# --- what the reader can do ---

NOTHING_TO_DO = Bilingual("您现在不需要做什么。", "There is nothing that you need to do now.")
HELP = Bilingual(
    "有不明白的地方，可以请辅导员或学校管理员当面说明。",
    "If anything is unclear, ask your counselor or the registrar to explain it in person.",
)


def _what_to_do(case: PromptCase, reader: Reader) -> Iterable[Bilingual]:
    if case.closed_at is not None:
        yield from _after_the_end(case, reader)
        return
    match reader:
        case Reader.STUDENT:
            yield from _student_can(case)
        case Reader.COUNSELOR:
            yield Bilingual(
                "请尽快联系学生，了解情况，提醒学生说明理由，需要时帮助学生提交。",
                "Get in touch with the student soon, and help with a statement or a claim.",
            )
        case Reader.REGISTRAR:
            yield _REGISTRAR_CAN[case.state]
        case Reader.SUPERIOR:
            yield _SUPERIOR_CAN.get(case.state, NOTHING_TO_DO)


def _student_can(case: PromptCase) -> Iterable[Bilingual]:
    yield Bilingual(
        "您可以写情况说明。作决定的人会看到。请在作出决定之前提交。",
        "You can write a statement. Whoever decides will read it. Send it before the decision.",
    )
    if case.kind == "misses":
        reasons = joined(reason_words(case.law, code) for code in case.law.reasons)
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
    elif case.kind == "leave_over_cap":
        yield Bilingual(
            "如果您其实已经提前返校，请让辅导员核对销假时间。",
            "If you were in fact back earlier, have your counselor check the recorded return.",
        )
    else:
        yield Bilingual(
            "请尽快到校，或联系辅导员。如果您那段时间其实在校，请请辅导员更正记录。",
            "Come to school or contact your counselor soon. If you were there in that time, have the record corrected.",
        )
    yield HELP


_REGISTRAR_CAN: Mapping[str, Bilingual] = {
    "undelivered": Bilingual(
        "请先确认收到这条提示，再核实情况。", "Confirm the receipt of this prompt first, then look into it."
    ),
    "dismissal_pending": Bilingual("请等待上级答复。", "Wait for the superior's answer."),
    "escalated": Bilingual(
        "现在由上级主管部门决定，请配合核实。", "The superior decides now; help with the facts."
    ),
    **dict.fromkeys(
        ("running", "blocked"),
        Bilingual(
            "请核实情况后选择：同意提示的建议；选择其他处理并写明理由；或认定正当理由、免予处理（须上级答复）。",
            "Look into the case and choose: confirm the proposal; choose another outcome and give reasons; or find a"
            " justified reason and dismiss it, which the superior must answer.",
        ),
    ),
}

_SUPERIOR_CAN: Mapping[str, Bilingual] = {
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


def _after_the_end(case: PromptCase, reader: Reader) -> Iterable[Bilingual]:
    if reader is Reader.STUDENT and case.state in {"decided", "executed"}:
        yield Bilingual(
            "如果您不同意，可以就这次学籍变动申诉。申诉的办法和期限，请看这次变动的说明。",
            "If you disagree, you can appeal against the change. Its own explanation says how and until when.",
        )
        yield HELP
    else:
        yield NOTHING_TO_DO
