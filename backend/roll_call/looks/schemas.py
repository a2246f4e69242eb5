"""Request and response schemas of looks in the staff API."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.core.web.schema_types import OneOf, Schema
from backend.roll_call.looks.queries import OpenLook
from backend.roll_call.looks.rules import Same
from backend.roll_call.reason_texts import OUTCOME_REASONS


class LookOut(BaseModel):
    """An open look: pictures of a check-in to be compared with the ID portrait."""

    id: UUID
    roll_call_id: UUID
    roll_call_title: str = Field(examples=["全省中职学籍核验"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    class_id: UUID
    class_name: str = Field(examples=["24电商1班"])
    student_id: UUID
    student_name: str = Field(examples=["王小明"])
    side: Literal["school", "launcher"]
    reason: Annotated[str, OneOf(OUTCOME_REASONS)] = Field(
        description="why a person has to look", examples=["face_needs_look"]
    )
    is_review: bool = Field(description="a school has answered; the launching side looks again at a sample")
    frames: list[int] = Field(description="positions of the pictures to open", examples=[[0]])
    requested_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, look: OpenLook) -> Self:
        """Build the response for an open request."""
        request = look.request
        return cls(
            id=request.id,
            roll_call_id=request.roll_call_id,
            roll_call_title=look.roll_call.title,
            school_id=request.school_id,
            class_id=request.class_id,
            class_name=look.class_name,
            student_id=request.student_id,
            student_name=look.student.name,
            side="school" if request.side == "school" else "launcher",
            reason=request.reason,
            is_review=request.reviews is not None,
            frames=request.shown_frames,
            requested_at=request.at,
            expires_at=request.expires_at,
        )


class LookAnswerIn(Schema):
    """Whether the pictures and the ID portrait show the same person."""

    same: Literal["yes", "no", "unsure"]
    note: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] = Field(
        default="", examples=["与证件照一致"]
    )


class LookAnsweredOut(BaseModel):
    """A recorded answer. Whether it is sampled for review is told to the reviewing side only."""

    id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    same: Annotated[str, OneOf(Same)] = Field(examples=["yes"])
    at: datetime


class LookCountsOut(BaseModel):
    """The looks of a roll call, without reviews."""

    model_config = ConfigDict(from_attributes=True)

    open: int
    same: int
    not_same: int
    unsure: int
    expired: int
    closed: int = Field(
        description="ended without an answer: another result, a withdrawn consent, or no quota"
    )
