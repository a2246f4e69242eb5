"""Schemas of what the superior adds to a prompt: evidence, a closure, answers to late leave."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.bulk_schemas import Ids
from backend.core.web.schema_types import LongText, Schema, ShortText, Timestamp
from backend.standing.prompts.deliveries import OfflineMethod
from backend.standing.prompts.queries import LateLeave


class NoticeDeliveryIn(Schema):
    """A delivery of a roll call's notice to the student outside the system (送达回证)."""

    roll_call_id: UUID
    how: OfflineMethod = Field(
        description="书面签收 written, 当面送达 in_person, 邮寄送达 post", examples=["in_person"]
    )
    received_at: Timestamp = Field(examples=["2026-11-20T10:00:00+08:00"])
    text: ShortText = Field(examples=["通知签收单〔2026〕3号，学生本人签字"])


class CheckFindingIn(Schema):
    """A person's finding on a missed roll call whose submission has no verdict."""

    roll_call_id: UUID
    finding: Literal["present", "missed"]
    text: LongText = Field(examples=["人工比对照片，并非本人"])


class ClosureIn(Schema):
    """Reasons for closing a prompt whose evidence cannot be completed."""

    reasons: LongText = Field(examples=["通知未送达学生，且无送达回证"])


class LateLeaveAnswerIn(Schema):
    """The answer to leave that was filed after the absence that it covers began."""

    leave_id: UUID
    accepted: bool
    opinion: LongText = Field(examples=["住院病历属实，予以认可"])


class LateLeaveOut(BaseModel):
    """Leave filed after the absence that it covers began, and the superior's answer (reading 19)."""

    leave_id: UUID
    starts_at: datetime
    ends_at: datetime
    filed_at: datetime
    accepted: bool | None = Field(description="null: 待答复 · not answered yet")
    opinion: str | None
    answered_at: datetime | None

    @classmethod
    def of(cls, item: LateLeave) -> Self:
        leave, answer = item.leave, item.answer
        return cls(
            leave_id=leave.id,
            starts_at=leave.starts_at,
            ends_at=leave.ends_at,
            filed_at=leave.filed_at,
            accepted=answer.accepted if answer else None,
            opinion=answer.opinion if answer else None,
            answered_at=answer.at if answer else None,
        )


class ClosureOut(BaseModel):
    """The superior closed the prompt because evidence was missing and could not be completed."""

    at: datetime
    reasons: str


class PromptReceiptsIn(Schema):
    """The prompts whose receipt is confirmed."""

    prompt_ids: Ids


class DismissalAcknowledgementsIn(Schema):
    """The dismissals that the superior accepts, with one opinion for all of them."""

    decision_ids: Ids
    opinion: LongText = Field(examples=["材料齐全，同意撤销提示"])
