"""Request and response schemas of reason claims for both APIs."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.core.web.schema_types import LongText, Schema
from backend.people.attachment_schemas import AttachmentIds, AttachmentOut
from backend.people.guardian_schemas import FiledByGuardianOut
from backend.standing.claims.queries import ClaimState, ClaimView

Code = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]


class ClaimIn(Schema):
    """A justified reason for a missed roll call, by its code in the catalogue."""

    reason_code: Code = Field(
        description="目录代码，见 GET /v1/justified-reasons · a code of the catalogue", examples=["no_phone"]
    )
    text: LongText | None = Field(default=None, examples=["手机送修，有维修单"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class ClaimForIn(ClaimIn):
    """A claim on behalf of a student."""

    student_id: UUID


class ClaimDecisionIn(Schema):
    """The decision of the launching side. The student sees the opinion."""

    accepted: bool
    opinion: LongText = Field(examples=["维修单属实，予以认可"])


class ClaimDecisionOut(BaseModel):
    """The decision of the launching side."""

    accepted: bool
    opinion: str = Field(examples=["维修单属实，予以认可"])
    decided_at: datetime


class ClaimOut(BaseModel):
    """A claim and its state. `leave_id` is a leave that came too late to exempt the student (reading 6)."""

    id: UUID
    roll_call_id: UUID
    roll_call_title: str = Field(examples=["十月学籍核验"])
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    reason_code: str = Field(examples=["no_phone"])
    text: str = Field(examples=["手机送修，有维修单"])
    leave_id: UUID | None
    filed_at: datetime
    state: ClaimState = Field(examples=["open"])
    decision: ClaimDecisionOut | None
    attachments: list[AttachmentOut]
    filed_by_guardian: FiledByGuardianOut | None = Field(
        description="监护人代为提交；null 表示不是 · a guardian filed it for the student; null: no guardian did"
    )

    @classmethod
    def of(cls, view: ClaimView) -> Self:
        claim, decision = view.claim, view.decision
        decision_out = (
            ClaimDecisionOut(accepted=decision.accepted, opinion=decision.opinion, decided_at=decision.at)
            if decision
            else None
        )
        return cls(
            id=claim.id,
            roll_call_id=claim.roll_call_id,
            roll_call_title=view.roll_call.title,
            student_id=claim.student_id,
            reason_code=claim.reason,
            text=claim.text,
            leave_id=claim.leave_id,
            filed_at=claim.filed_at,
            state=view.state,
            decision=decision_out,
            attachments=[AttachmentOut.model_validate(each) for each in view.attachments],
            filed_by_guardian=FiledByGuardianOut.of(view.guardian),
        )


class JustifiedReasonOut(BaseModel):
    """One entry of the catalogue of justified reasons."""

    model_config = ConfigDict(from_attributes=True)

    code: str = Field(examples=["illness"])
    zh: str = Field(examples=["疾病"])
    en: str = Field(examples=["illness"])
    needs_text: bool = Field(description="须写明情况 · a text is required")
