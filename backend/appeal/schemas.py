"""Request and response schemas of appeals and gaokao eligibility for both APIs."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.appeal.filing import AgainstChange, AgainstCheck, AgainstIneligibility, AppealSubject
from backend.appeal.gaokao import REASON_TEXTS, Eligibility
from backend.appeal.queries import AppealDates, AppealView, MessageView
from backend.appeal.rules import AppealState
from backend.appeal.statements import NewMessage, Side
from backend.appeal.subjects import ChangeSubject, RollCallSubject, SubjectView
from backend.core.web.schema_types import Day, LongText, OneOf, Schema
from backend.people.attachment_schemas import AttachmentIds, AttachmentOut
from backend.people.categories import StandingCode, StudyFormCode
from backend.people.guardian_schemas import FiledByGuardianOut
from backend.roll_call.reason_texts import reason
from backend.roll_call.rules import Outcome, OutcomeMethod, RollCallKind
from backend.standing.appeal_effects import AppealFinding, Target
from backend.standing.engine.ledger import Cause
from backend.standing.engine.prompts import PromptKind

# --- requests ---


class AgainstCheckIn(Schema):
    """Against the result of a roll call."""

    kind: Literal["check"] = Field(examples=["check"])
    roll_call_id: UUID

    def to_subject(self) -> AppealSubject:
        return AgainstCheck(self.roll_call_id)


class AgainstChangeIn(Schema):
    """Against a change of standing, by its ledger entry."""

    kind: Literal["change"] = Field(examples=["change"])
    change_id: UUID

    def to_subject(self) -> AppealSubject:
        return AgainstChange(self.change_id)


class AgainstIneligibilityIn(Schema):
    """Against missing eligibility for the upcoming gaokao on a day."""

    kind: Literal["gaokao"] = Field(examples=["gaokao"])
    on: Day = Field(examples=["2026-11-05"])

    def to_subject(self) -> AppealSubject:
        return AgainstIneligibility(self.on)


AgainstIn = Annotated[AgainstCheckIn | AgainstChangeIn | AgainstIneligibilityIn, Field(discriminator="kind")]


class AppealMessageIn(Schema):
    """A message of one side, with files."""

    text: LongText = Field(examples=["当天在校实训，有考勤记录和照片为证。"])
    attachment_ids: AttachmentIds = Field(default_factory=list)

    def to_message(self) -> NewMessage:
        return NewMessage(self.text, self.attachment_ids)


class AppealIn(Schema):
    """An appeal: what it is against, and its grounds."""

    against: AgainstIn
    grounds: AppealMessageIn


class SchoolAppealIn(AppealIn):
    """An appeal of the school, about one of its students."""

    student_id: UUID


class AppealDecisionIn(Schema):
    """The decision with its reasons. An upheld appeal against a result has a finding, the new result."""

    upheld: bool
    reasons: LongText = Field(examples=["考勤记录与照片相符，认定到场。"])
    finding: AppealFinding | None = Field(
        default=None,
        description="仅用于对核验结果的申诉成立时 · only when an appeal against a result is upheld",
        examples=["present"],
    )


class AppealWithdrawalIn(Schema):
    """The optional reason for withdrawing the appeal."""

    reason: LongText | None = Field(default=None, examples=["学校已说明情况"])


# --- responses ---


class AppealDecisionOut(BaseModel):
    """The decision on an appeal."""

    upheld: bool
    finding: Annotated[str, OneOf(AppealFinding)] | None = Field(
        description="present or excused, of an upheld appeal against a result"
    )
    reasons: str = Field(examples=["考勤记录与照片相符，认定到场。"])
    at: datetime


class AppealOut(BaseModel):
    """An appeal in a list."""

    id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    appellant: Annotated[str, OneOf("student", "school")] = Field(
        description="student or school", examples=["student"]
    )
    filed_by_guardian: FiledByGuardianOut | None = Field(
        description="监护人代为提交；null 表示不是 · a guardian filed it for the student; null: no guardian did"
    )
    target: Annotated[str, OneOf(Target)] = Field(description="check, change or gaokao", examples=["check"])
    target_id: str
    previous: UUID | None = Field(
        description="被驳回的原申诉 · the rejected appeal that this one takes to the next level"
    )
    level: int = Field(examples=[1])
    deciding_unit_id: UUID
    deciding_unit_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    deciding_unit: str = Field(examples=["郑州市教育局"])
    filed_at: datetime
    state: Annotated[str, OneOf(AppealState)] = Field(
        description="open, upheld, rejected, withdrawn, or ended: the change was reversed in another way",
        examples=["open"],
    )
    due_at: datetime | None = Field(
        description="应在此刻前决定；工作日历未载入时为空 · null while the calendar is missing"
    )
    overdue: bool
    decision: AppealDecisionOut | None
    withdrawn_at: datetime | None

    @classmethod
    def of(cls, appeal: AppealView, at: datetime) -> Self:
        return cls(**_appeal_fields(appeal, at))


class AppealedOutcomeOut(BaseModel):
    """One result of a roll call; the last one is in effect. Only authorities see `trace`."""

    outcome: Annotated[str, OneOf(Outcome)] = Field(examples=["missed"])
    reason_zh: str
    reason_en: str
    method: Annotated[str, OneOf(OutcomeMethod)]
    at: datetime
    trace: dict[str, Any] | None


class RollCallSubjectOut(BaseModel):
    """The roll call that is the subject of the appeal."""

    kind: Literal["check"] = "check"
    roll_call_id: UUID
    title: str
    roll_call_kind: Annotated[str, OneOf(RollCallKind)]
    launcher: str
    opens_at: datetime
    closes_at: datetime
    outcomes: list[AppealedOutcomeOut]


class ChangeSubjectOut(BaseModel):
    """The change that is the subject of the appeal, with the traces of change and prompt."""

    kind: Literal["change"] = "change"
    change_id: UUID
    cause: Annotated[str, OneOf(Cause)] = Field(description="decision or expiry", examples=["expiry"])
    outcome: str = Field(examples=["part_time"])
    standing_before: StandingCode
    study_form_before: StudyFormCode
    standing_after: StandingCode
    study_form_after: StudyFormCode
    at: datetime
    reversed_at: datetime | None
    trace: dict[str, Any]
    prompt_id: UUID | None
    prompt_kind: Annotated[str, OneOf(PromptKind)] | None
    prompt_trace: dict[str, Any] | None


class EligibilityReasonOut(BaseModel):
    """A reason code with its text in both languages."""

    code: Annotated[str, OneOf(REASON_TEXTS)] = Field(examples=["not_full_time"])
    zh: str
    en: str


class EligibilityChangeOut(BaseModel):
    """A change behind the status of the day."""

    change_id: UUID
    at: datetime
    cause: Annotated[str, OneOf(Cause)]
    outcome: str


class GaokaoEligibilityOut(BaseModel):
    """Eligibility for a gaokao at the end of a day, and why."""

    kind: Literal["gaokao"] = "gaokao"
    on: date
    exam_year: int = Field(examples=[2027])
    eligible: bool
    standing: StandingCode = Field(examples=["01"])
    study_form: StudyFormCode = Field(examples=["full_time"])
    reasons: list[EligibilityReasonOut]
    changes: list[EligibilityChangeOut]
    finding_appeal_id: UUID | None = Field(description="据以认定的申诉 · the upheld appeal")
    finding: str | None

    @classmethod
    def of(cls, eligibility: Eligibility) -> Self:
        return cls(
            on=eligibility.on,
            exam_year=eligibility.exam_year,
            eligible=eligibility.eligible,
            standing=eligibility.status.standing,
            study_form=eligibility.status.study_form,
            reasons=[
                EligibilityReasonOut(code=code, zh=REASON_TEXTS[code][0], en=REASON_TEXTS[code][1])
                for code in eligibility.reasons
            ],
            changes=[
                EligibilityChangeOut(
                    change_id=UUID(entry.entry_id),
                    at=entry.at,
                    cause=entry.cause.value,
                    outcome=entry.outcome,
                )
                for entry in eligibility.entries
            ],
            finding_appeal_id=eligibility.finding.appeal_id if eligibility.finding else None,
            finding=eligibility.finding.statement if eligibility.finding else None,
        )


class AppealDetailOut(AppealOut):
    """An appeal with its subject. Its messages are a separate list."""

    due_missing_year: int | None = Field(
        description="缺少哪一年的工作日历 · the calendar year that is missing for the deadline",
        examples=[None],
    )
    next_level_until: date | None = Field(
        description="被驳回后可向上一级申诉的最后一天；没有上一级或未被驳回时为空 · the last day to take a rejected appeal"
        " to the next level; null if none is left or it was not rejected",
        examples=[None],
    )
    judged_on: date | None
    against: RollCallSubjectOut | ChangeSubjectOut | GaokaoEligibilityOut

    @classmethod
    def of_detail(
        cls, appeal: AppealView, dates: AppealDates, subject: SubjectView, at: datetime, *, traces: bool
    ) -> Self:
        """`traces`: whether the reader may see the trace of a roll call's result."""
        return cls(
            **_appeal_fields(appeal, at) | {"due_at": dates.deadline.at},
            due_missing_year=dates.deadline.missing_year,
            next_level_until=dates.next_level_until,
            judged_on=appeal.case.judged_on,
            against=_subject_out(subject, traces=traces),
        )


class AppealMessageOut(BaseModel):
    """A message of one side."""

    id: UUID
    seq: int = Field(examples=[1])
    side: Annotated[str, OneOf(Side)] = Field(description="appellant or unit", examples=["appellant"])
    text: str
    at: datetime
    attachments: list[AttachmentOut]
    read_at: datetime | None = Field(description="对方首次阅读 · when the other side first read it")

    @classmethod
    def of(cls, view: MessageView) -> Self:
        message = view.message
        return cls(
            id=message.id,
            seq=message.seq,
            side=message.side,
            text=message.text,
            at=message.at,
            attachments=[AttachmentOut.model_validate(each) for each in view.attachments],
            read_at=view.read_at,
        )


def _appeal_fields(appeal: AppealView, at: datetime) -> dict[str, Any]:
    filed, case, decided = appeal.filed, appeal.case, appeal.decided
    return {
        "id": filed.id,
        "student_id": filed.student_id,
        "school_id": filed.school_id,
        "appellant": filed.appellant,
        "filed_by_guardian": FiledByGuardianOut.of(appeal.guardian),
        "target": filed.target,
        "target_id": filed.target_id,
        "previous": filed.previous,
        "level": case.level,
        "deciding_unit_id": case.unit_id,
        "deciding_unit": appeal.unit_name,
        "filed_at": filed.filed_at,
        "state": appeal.state.value,
        "due_at": appeal.due_at,
        "overdue": appeal.overdue(at),
        "decision": AppealDecisionOut(
            upheld=decided.upheld,
            finding=decided.finding if decided.upheld and filed.target == "check" else None,
            reasons=decided.reasons,
            at=decided.at,
        )
        if decided
        else None,
        "withdrawn_at": appeal.withdrawn.at if appeal.withdrawn else None,
    }


def _subject_out(
    subject: SubjectView, *, traces: bool
) -> RollCallSubjectOut | ChangeSubjectOut | GaokaoEligibilityOut:
    match subject:
        case RollCallSubject():
            return _roll_call_subject_out(subject, traces=traces)
        case ChangeSubject():
            return _change_subject_out(subject)
        case Eligibility():
            return GaokaoEligibilityOut.of(subject)


def _roll_call_subject_out(subject: RollCallSubject, *, traces: bool) -> RollCallSubjectOut:
    roll_call = subject.roll_call
    outcomes = []
    for entry in subject.outcomes:
        words = reason(entry.reason)
        outcomes.append(
            AppealedOutcomeOut(
                outcome=entry.outcome,
                reason_zh=words.zh,
                reason_en=words.en,
                method=entry.method,
                at=entry.at,
                trace=entry.trace if traces else None,
            )
        )
    return RollCallSubjectOut(
        roll_call_id=roll_call.id,
        title=roll_call.title,
        roll_call_kind=roll_call.kind,
        launcher=subject.launcher,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        outcomes=outcomes,
    )


def _change_subject_out(subject: ChangeSubject) -> ChangeSubjectOut:
    entry, prompt = subject.entry, subject.prompt
    return ChangeSubjectOut(
        change_id=entry.id,
        cause=entry.cause,
        outcome=entry.outcome,
        standing_before=entry.standing_before,
        study_form_before=entry.study_form_before,
        standing_after=entry.standing_after,
        study_form_after=entry.study_form_after,
        at=entry.at,
        reversed_at=subject.reversed_at,
        trace=entry.trace,
        prompt_id=prompt.id if prompt else None,
        prompt_kind=prompt.kind if prompt else None,
        prompt_trace=prompt.trace if prompt else None,
    )
