"""API schemas of applications, decisions and findings of duplicate enrolment."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.aid.applications import ClassApplicationResult, Outcome
from backend.aid.queries import ApplicationState, ApplicationView
from backend.aid.rules import AidKind
from backend.core.web.schema_types import LongText, OneOf, Schema

KIND_DESCRIPTION = "国家助学金 grant, 免学费 tuition_waiver"


class AidApplicationIn(Schema):
    """The kind of aid to apply for in the current term."""

    kind: AidKind = Field(description=KIND_DESCRIPTION, examples=["grant"])


class AidApplicationsIn(Schema):
    """Applications for all students of a class, or of the school if `class_id` is null."""

    kind: AidKind = Field(description=KIND_DESCRIPTION, examples=["grant"])
    class_id: UUID | None = Field(default=None, examples=[None])


class SkippedStudentOut(BaseModel):
    """A student for whom no application was filed, with the reason."""

    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    code: str = Field(examples=["aid_ineligible"])
    zh: str = Field(examples=["学习形式不是全日制。"])
    en: str


class AidApplicationsOut(BaseModel):
    """The filed applications, and the students for whom none was filed."""

    filed: list[UUID]
    passed: list[SkippedStudentOut]

    @classmethod
    def from_result(cls, result: ClassApplicationResult) -> Self:
        skipped = [SkippedStudentOut.model_validate(each, from_attributes=True) for each in result.skipped]
        return cls(filed=list(result.filed), passed=skipped)


class AidApplicationOut(BaseModel):
    """An application and its decision."""

    id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    kind: AidKind = Field(description=KIND_DESCRIPTION)
    term_code: str = Field(examples=["2026-autumn"])
    attempt: int = Field(description="本学期第几次申请 · number of the application in its term", examples=[1])
    filed_by: UUID = Field(description="提交账号，不得审批 · the account that filed it and cannot decide it")
    filed_by_name: str | None = Field(default=None, examples=["李明"])
    filed_at: datetime
    state: Annotated[str, OneOf(ApplicationState)] = Field(
        description="pending, approved, refused", examples=["pending"]
    )
    reasons: str | None = Field(description="审批意见 · opinion of the decision", examples=[None])
    decided_by: UUID | None
    decided_by_name: str | None = Field(default=None, examples=["王老师"])
    decided_at: datetime | None

    @classmethod
    def from_view(cls, view: ApplicationView) -> Self:
        return cls(
            id=view.application.id,
            student_id=view.application.student_id,
            school_id=view.application.school_id,
            kind=AidKind(view.application.kind),
            term_code=view.application.term_code,
            attempt=view.application.attempt,
            filed_by=view.application.filed_by,
            filed_at=view.application.filed_at,
            state=view.state,
            reasons=view.decision.reasons if view.decision else None,
            decided_by=view.decision.decided_by if view.decision else None,
            decided_at=view.decision.decided_at if view.decision else None,
        )


class AidDecisionIn(Schema):
    """The decision on an application; a refusal requires reasons."""

    outcome: Outcome = Field(examples=["approved"])
    reasons: LongText | None = Field(default=None, examples=["材料齐全，同意"])


class DuplicateIn(Schema):
    """The finding of a check for duplicate enrolment."""

    duplicate: bool = Field(description="与义务教育学籍重复 · also enrolled in compulsory education")
    evidence: LongText = Field(examples=["查重名单第17行，已与初中学校电话核实"])


class DuplicateOut(BaseModel):
    """A recorded finding of a check for duplicate enrolment."""

    id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    duplicate: bool
    evidence: str
    at: datetime
