"""Request and response schemas of change requests for the staff API."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import LongText, OneOf, Schema
from backend.org.schemas import UnitKind
from backend.people.attachment_schemas import AttachmentIds, AttachmentOut
from backend.people.attachments import AttachmentView
from backend.people.categories import StandingCode, StudyFormCode
from backend.standing.change_requests.policy import ChangeKind, RequestState
from backend.standing.change_requests.queries import ChangeRequestView
from backend.standing.change_requests.service import OpinionOutcome

KindCode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]


class ChangeRequestIn(Schema):
    """A change to file; its kind determines what it writes."""

    student_id: UUID
    change_kind: KindCode = Field(
        description="异动类别代码：02 留级、11 休学、12 复学、21 转出、31 退学…；L1 转为非全日制、L2 转为全日制",
        examples=["11"],
    )
    reasons: LongText = Field(examples=["因病住院，需休养一学期"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class OpinionIn(Schema):
    """The opinion of the caller's unit; required for a refusal."""

    outcome: OpinionOutcome = Field(examples=["agreed"])
    opinion: LongText | None = Field(default=None, examples=["情况属实，同意"])


class RequestFilesIn(Schema):
    """Uploaded files that the school adds to its request."""

    attachment_ids: AttachmentIds = Field(min_length=1, examples=[["018f8c4e-0000-7000-8000-000000000001"]])


class ChangeRequestWithdrawalIn(Schema):
    """Why the school withdraws its request."""

    reason: LongText = Field(examples=["学生已决定继续就读"])


class ChangeKindOut(BaseModel):
    """A kind of change, with the values that it writes (null keeps the earlier value)."""

    code: str = Field(examples=["11"])
    zh: str = Field(examples=["休学"])
    en: str = Field(examples=["suspension"])
    standing: StandingCode | None = Field(examples=["02"])
    study_form: StudyFormCode | None = Field(examples=[None])
    from_standings: list[StandingCode] = Field(
        description="适用于哪些学籍状态 · the standings that it applies to", examples=[["01", "05"]]
    )

    @classmethod
    def of(cls, kind: ChangeKind) -> Self:
        """Build the response for a kind."""
        return cls.model_validate(
            {
                "code": kind.code,
                "zh": kind.zh,
                "en": kind.en,
                "standing": kind.standing,
                "study_form": kind.study_form,
                "from_standings": list(kind.from_standings),
            }
        )


class LevelOut(BaseModel):
    """One level of the chain of approval."""

    level: Annotated[str, OneOf(UnitKind)] = Field(
        description="school, county, city, province", examples=["city"]
    )
    org_id: UUID
    org_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])


class StepOut(LevelOut):
    """The opinion of one level."""

    outcome: Annotated[str, OneOf("agreed", "refused", "withdrawn")] = Field(
        description="agreed, refused, withdrawn", examples=["agreed"]
    )
    opinion: str = Field(examples=["情况属实，同意"])
    decided_by: UUID
    decided_by_name: str | None = Field(default=None, examples=["王老师"])
    at: datetime


class ChangeRequestOut(BaseModel):
    """A request with its chain of approval and the opinions given so far."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    change_kind: str = Field(examples=["11"])
    standing: StandingCode | None = Field(description="拟变更的学籍状态，空为不变", examples=["02"])
    study_form: StudyFormCode | None = Field(description="拟变更的学习形式，空为不变", examples=[None])
    reasons: str = Field(examples=["因病住院，需休养一学期"])
    locked: bool = Field(
        description="因核验异动锁定，须逐级报省批准 · filed for a locked record", examples=[False]
    )
    state: RequestState
    chain: list[LevelOut]
    waiting_for: LevelOut | None = Field(description="当前审核单位 · the level that gives the next opinion")
    steps: list[StepOut]
    filed_by: UUID
    filed_by_name: str | None = Field(default=None, examples=["王老师"])
    filed_at: datetime

    @classmethod
    def of(cls, view: ChangeRequestView) -> Self:
        request, current = view.request, view.current
        return cls(
            id=request.id,
            school_id=request.school_id,
            student_id=request.student_id,
            change_kind=request.change_kind,
            standing=request.standing,
            study_form=request.study_form,
            reasons=request.reasons,
            locked=request.locked,
            state=view.state,
            chain=[LevelOut(level=level.level, org_id=level.org_id) for level in view.chain],
            waiting_for=LevelOut(level=current.level, org_id=current.org_id) if current else None,
            steps=[
                StepOut(
                    level=step.level,
                    org_id=step.org_id,
                    outcome=step.outcome,
                    opinion=step.opinion,
                    decided_by=step.decided_by,
                    at=step.at,
                )
                for step in view.steps
            ],
            filed_by=request.filed_by,
            filed_at=request.filed_at,
        )


class ChangeRequestDetailOut(ChangeRequestOut):
    """A request with its files and the student's open prompts, which matter for an opinion."""

    attachments: list[AttachmentOut]
    open_prompts: list[UUID] = Field(
        description="该生尚未处理的提示；同意异动可能使其失效 · open prompts, which the change may withdraw"
    )

    @classmethod
    def of_detail(cls, view: ChangeRequestView, files: list[AttachmentView], prompts: list[UUID]) -> Self:
        shown = [AttachmentOut.model_validate(file) for file in files]
        return cls(**dict(ChangeRequestOut.of(view)), attachments=shown, open_prompts=prompts)
