"""Request and response schemas of prompts for both APIs. Every code comes with its text in both languages."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.bilingual import Bilingual
from backend.core.web.schema_types import LongText, OneOf, Schema, ShortText, Timestamp
from backend.people.attachment_schemas import AttachmentIds, AttachmentOut
from backend.people.guardian_schemas import FiledByGuardianOut
from backend.standing.engine.decision_rules import DISMISS, Role
from backend.standing.explanations.phrases import (
    CAUSES,
    EVIDENCE_PARTS,
    KINDS,
    PROMPT_STATES,
    STANDINGS,
    STUDY_FORMS,
    WITHDRAWN_BECAUSE,
    blocker_words,
    outcome_words,
    reason_words,
)
from backend.standing.policy import StandingPolicy
from backend.standing.prompts.deliveries import OfflineMethod
from backend.standing.prompts.evidence_schemas import ClosureOut, LateLeaveOut
from backend.standing.prompts.queries import (
    DecisionView,
    EvidenceItem,
    PromptDetail,
    PromptRow,
    StatementView,
)
from backend.standing.store.tables import StandingEntry

Code = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]


class LabelledCodeOut(BaseModel):
    """A code with its text in both languages."""

    code: str = Field(examples=["part_time"])
    zh: str = Field(examples=["学习形式变更为非全日制"])
    en: str = Field(examples=["study form changed to part-time"])

    @classmethod
    def of(cls, code: str, words: Bilingual) -> Self:
        return cls(code=code, zh=words.zh, en=words.en)


# --- requests ---


class PromptDecisionIn(Schema):
    """A decision on a prompt: one of its outcomes, or `dismiss` with a justified reason of the catalogue."""

    outcome: Code = Field(
        description="处理结果代码，dismiss 为撤销提示 · a code of `choices`, or dismiss",
        examples=["part_time"],
    )
    reasons: LongText | None = Field(
        default=None,
        description="与提示建议不同时必填 · required for an outcome other than the proposed one",
        examples=["经核实，该生已离校务工，仅周末返校学习"],
    )
    found_reason: Code | None = Field(
        default=None,
        description="撤销提示时认定的正当理由 · the justified reason, for a dismissal",
        examples=[None],
    )
    found_text: LongText | None = Field(default=None, examples=[None])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class DismissalAnswerIn(Schema):
    """The superior's answer to a dismissal, with an opinion."""

    accepted: bool
    opinion: LongText = Field(examples=["病历属实，同意撤销提示"])


class DeliveryIn(Schema):
    """A delivery outside the system (送达回证)."""

    how: OfflineMethod = Field(
        description="书面签收 written, 当面送达 in_person, 邮寄送达 post", examples=["written"]
    )
    received_at: Timestamp = Field(examples=["2026-11-20T10:00:00+08:00"])
    text: ShortText = Field(examples=["送达回证〔2026〕12号，教务处王老师签收"])


class ReversalIn(Schema):
    """Reasons for reversing an automatic execution."""

    reasons: LongText = Field(examples=["核验当日全县停电，未及申报"])


class StatementIn(Schema):
    """A student's statement on a prompt, with files."""

    text: LongText = Field(examples=["当天在医院陪护家人，附住院证明"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


# --- responses ---


class StatementOut(BaseModel):
    """A student's statement."""

    id: UUID
    text: str = Field(examples=["当天在医院陪护家人，附住院证明"])
    at: datetime
    attachments: list[AttachmentOut]
    filed_by_guardian: FiledByGuardianOut | None = Field(
        description="监护人代为提交；null 表示不是 · a guardian filed it for the student; null: no guardian did"
    )

    @classmethod
    def of(cls, view: StatementView) -> Self:
        return cls(
            id=view.statement.id,
            text=view.statement.text,
            at=view.statement.at,
            attachments=[AttachmentOut.model_validate(each) for each in view.attachments],
            filed_by_guardian=FiledByGuardianOut.of(view.guardian),
        )


class DismissalAnswerOut(BaseModel):
    """The superior's answer to a dismissal."""

    accepted: bool
    opinion: str = Field(examples=["病历属实，同意撤销提示"])
    at: datetime


class PromptDecisionOut(BaseModel):
    """A decision on a prompt. `role`: registrar or superior."""

    id: UUID
    role: Annotated[str, OneOf(Role)] = Field(examples=["registrar"])
    outcome: LabelledCodeOut
    reasons: str = Field(examples=["情况属实"])
    found_reason: LabelledCodeOut | None
    found_text: str = Field(examples=[""])
    at: datetime
    answer: DismissalAnswerOut | None = Field(description="上级对撤销的答复 · the answer to a dismissal")
    attachments: list[AttachmentOut]

    @classmethod
    def of(cls, view: DecisionView, law: StandingPolicy) -> Self:
        decision, answer = view.decision, view.answer
        reason = decision.found_reason
        return cls(
            id=decision.id,
            role=decision.role,
            outcome=LabelledCodeOut.of(decision.outcome, outcome_words(law, decision.outcome)),
            reasons=decision.reasons,
            found_reason=LabelledCodeOut.of(reason, reason_words(law, reason)) if reason else None,
            found_text=decision.found_text,
            at=decision.at,
            answer=DismissalAnswerOut(accepted=answer.accepted, opinion=answer.opinion, at=answer.at)
            if answer
            else None,
            attachments=[AttachmentOut.model_validate(each) for each in view.attachments],
        )


class EvidenceOut(BaseModel):
    """A fact that a prompt rests on: a missed roll call with its window, leave, or a recorded absence."""

    kind: Literal["check", "leave", "attendance"]
    id: UUID
    title: str | None = Field(examples=["十月学籍核验"])
    launcher: str | None = Field(
        description="发起单位 · the unit that launched it", examples=["郑州市教育局"]
    )
    starts_at: datetime
    ends_at: datetime | None
    notice_delivered_at: datetime | None = Field(
        description="通知送达学生 · when the notice reached the student"
    )
    missing: list[LabelledCodeOut] | None = Field(
        description="尚缺的证据；学生端不列 · missing parts of the evidence; not shown to the student"
    )

    @classmethod
    def of(cls, item: EvidenceItem, *, with_missing: bool) -> Self:
        return cls(
            kind=item.kind,
            id=item.id,
            title=item.title,
            launcher=item.launcher,
            starts_at=item.starts_at,
            ends_at=item.ends_at,
            notice_delivered_at=item.notice_delivered_at,
            missing=[LabelledCodeOut.of(part, EVIDENCE_PARTS[part]) for part in item.missing]
            if with_missing
            else None,
        )


class LabelledStatusOut(BaseModel):
    """Standing by its national code, and study form."""

    standing: LabelledCodeOut
    study_form: LabelledCodeOut

    @classmethod
    def of(cls, standing: str, study_form: str) -> Self:
        return cls(
            standing=LabelledCodeOut.of(standing, STANDINGS[standing]),
            study_form=LabelledCodeOut.of(study_form, STUDY_FORMS[study_form]),
        )


class PromptChangeOut(BaseModel):
    """A ledger entry that the prompt caused. `reverses` is the entry that it reverses."""

    id: UUID
    at: datetime
    cause: LabelledCodeOut
    outcome: LabelledCodeOut
    before: LabelledStatusOut
    after: LabelledStatusOut
    reverses: UUID | None

    @classmethod
    def of(cls, entry: StandingEntry, law: StandingPolicy) -> Self:
        return cls(
            id=entry.id,
            at=entry.at,
            cause=LabelledCodeOut.of(entry.cause, CAUSES[entry.cause]),
            outcome=LabelledCodeOut.of(entry.outcome, outcome_words(law, entry.outcome)),
            before=LabelledStatusOut.of(entry.standing_before, entry.study_form_before),
            after=LabelledStatusOut.of(entry.standing_after, entry.study_form_after),
            reverses=entry.reverses,
        )


class PromptOut(BaseModel):
    """A prompt and its state. `due_at` is exclusive: 24:00 of the last working day."""

    id: UUID
    kind: LabelledCodeOut
    state: LabelledCodeOut
    term_code: str = Field(examples=["2026-autumn"])
    proposed: LabelledCodeOut = Field(description="提示建议的处理 · the proposed outcome")
    raised_at: datetime
    delivered_at: datetime | None = Field(description="学校签收 · when the school received it")
    due_at: datetime | None = Field(description="处理期限 · when the decision is due")
    missing_year: int | None = Field(
        description="工作日历缺少的年份 · the calendar year that is not loaded", examples=[None]
    )
    blockers: list[LabelledCodeOut] = Field(
        description="暂缓自动执行的情形 · what blocks the automatic execution"
    )
    closed_at: datetime | None
    withdrawn_because: LabelledCodeOut | None

    @classmethod
    def of(cls, row: PromptRow) -> Self:
        return cls(**_prompt_fields(row))


class StaffPromptOut(PromptOut):
    """A prompt with its student, class and school."""

    student_id: UUID
    student_name: str = Field(examples=["李明"])
    class_id: UUID
    class_name: str | None = Field(examples=["2024级1班"])
    school_id: UUID
    school_name: str = Field(examples=["郑州市某职业学校"])
    dismissal_id: UUID | None = Field(
        description="待上级答复的撤销决定 · the dismissal that waits for the superior's answer",
        examples=[None],
    )

    @classmethod
    def of(cls, row: PromptRow) -> Self:
        return cls(**_prompt_fields(row), **_student_fields(row))


class DeliveryOut(BaseModel):
    """How the school received the prompt."""

    at: datetime
    how: Annotated[str, OneOf("in_app", "sms", "receipt", OfflineMethod)] = Field(
        description="in_app, sms, receipt, written, in_person, post", examples=["in_app"]
    )
    note: str | None = Field(examples=[None])


class ChoicesOut(BaseModel):
    """The outcomes and justified reasons to choose from."""

    outcomes: list[LabelledCodeOut]
    reasons: list[LabelledCodeOut] = Field(description="正当理由目录 · the catalogue of justified reasons")


class StaffPromptDetailOut(StaffPromptOut):
    """A prompt with everything that matters for the decision."""

    grounds: list[Annotated[str, OneOf("consecutive", "cumulative")]] = Field(examples=[["consecutive"]])
    event_day: date
    evidence: list[EvidenceOut]
    delivery: DeliveryOut | None
    decisions: list[PromptDecisionOut]
    statements: list[StatementOut]
    changes: list[PromptChangeOut]
    choices: ChoicesOut
    late_leave: list[LateLeaveOut] = Field(
        description="缺席开始后才申请的请假，须由上级答复 · leave filed after the absence began; the superior answers it"
    )
    closure: ClosureOut | None = Field(
        description="上级因证据不足结束 · the superior closed the prompt for want of evidence"
    )
    trace: dict[str, Any] = Field(description="规则、依据及版本 · the rule, the figures and their versions")

    @classmethod
    def of_detail(cls, detail: PromptDetail) -> Self:
        row, law = detail.row, detail.row.law
        return cls(
            **_prompt_fields(row),
            **_student_fields(row),
            **_detail_fields(detail, with_missing=True),
            grounds=row.prompt.grounds,
            event_day=row.prompt.event_day,
            delivery=DeliveryOut(at=detail.delivered.at, how=detail.delivered.how, note=detail.delivered.note)
            if detail.delivered
            else None,
            choices=ChoicesOut(
                outcomes=[
                    LabelledCodeOut.of(code, outcome_words(law, code)) for code in (*law.outcomes, DISMISS)
                ],
                reasons=[LabelledCodeOut.of(code, reason_words(law, code)) for code in law.reasons],
            ),
            late_leave=[LateLeaveOut.of(item) for item in detail.late_leave],
            closure=ClosureOut(at=detail.closed.at, reasons=detail.closed.reasons) if detail.closed else None,
            trace=row.prompt.trace,
        )


class OwnPromptDetailOut(PromptOut):
    """A prompt as its student sees it."""

    evidence: list[EvidenceOut]
    decisions: list[PromptDecisionOut]
    statements: list[StatementOut]
    changes: list[PromptChangeOut]

    @classmethod
    def of_detail(cls, detail: PromptDetail) -> Self:
        return cls(**_prompt_fields(detail.row), **_detail_fields(detail, with_missing=False))


def _prompt_fields(row: PromptRow) -> dict[str, Any]:
    prompt, step, labelled = row.prompt, row.step, LabelledCodeOut.of
    because = WITHDRAWN_BECAUSE.get(step.closed_by or "")
    return {
        "id": prompt.id,
        "kind": labelled(prompt.kind, KINDS[prompt.kind]),
        "state": labelled(step.state, PROMPT_STATES[step.state]),
        "term_code": prompt.term_code,
        "proposed": labelled(prompt.proposed, outcome_words(row.law, prompt.proposed)),
        "raised_at": prompt.raised_at,
        "delivered_at": step.delivered_at,
        "due_at": step.due_at,
        "missing_year": step.missing_year,
        "blockers": [labelled(code, blocker_words(code)) for code in step.blockers],
        "closed_at": step.closed_at,
        "withdrawn_because": labelled(str(step.closed_by), because) if because else None,
    }


def _student_fields(row: PromptRow) -> dict[str, Any]:
    return {
        "student_id": row.prompt.student_id,
        "student_name": row.student_name,
        "class_id": row.class_id,
        "class_name": row.class_name,
        "school_id": row.prompt.school_id,
        "school_name": row.school_name,
        "dismissal_id": row.step.dismissal,
    }


def _detail_fields(detail: PromptDetail, *, with_missing: bool) -> dict[str, Any]:
    law = detail.row.law
    return {
        "evidence": [EvidenceOut.of(item, with_missing=with_missing) for item in detail.evidence],
        "decisions": [PromptDecisionOut.of(view, law) for view in detail.decisions],
        "statements": [StatementOut.of(view) for view in detail.statements],
        "changes": [PromptChangeOut.of(entry, law) for entry in detail.changes],
    }
