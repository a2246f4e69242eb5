"""Wire schemas of submitted pictures: enrolment shots, the ID portrait, and pictures sent for two students."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.identity.face.shared_picture_reports import SharedPictureRow
from backend.identity.tables import FaceEnrolment, Portrait


class ReasonOut(BaseModel):
    """Why a picture was refused; `shot` counts from 0 and is null for all shots together."""

    shot: int | None
    code: str = Field(examples=["too_dark"])
    zh: str = Field(examples=["光线太暗。请到明亮处再拍。"])
    en: str = Field(examples=["It is too dark. Go where there is more light."])


class PictureStateOut(BaseModel):
    """The state of submitted pictures: none, pending, accepted, review or refused."""

    state: Literal["none", "pending", "accepted", "review", "refused"]
    reasons: list[ReasonOut] = []
    submitted_at: datetime | None = None
    decided_at: datetime | None = None


def picture_state_out(row: FaceEnrolment | Portrait | None) -> PictureStateOut:
    """The latest submission as the API returns it."""
    if row is None:
        return PictureStateOut(state="none")
    return PictureStateOut.model_validate(
        {
            "state": row.status,
            "reasons": [ReasonOut.model_validate(reason) for reason in row.reasons],
            "submitted_at": row.submitted_at,
            "decided_at": row.decided_at,
        }
    )


class SharedPictureOut(BaseModel):
    """One picture that was sent for two students. The other student's name is null in another school's list."""

    id: UUID
    school_id: UUID
    school_name: str = Field(examples=["郑州市第一职业学校"])
    student_id: UUID
    student_name: str = Field(examples=["张三"])
    other_student_name: str | None = Field(examples=["李四"])
    other_school_name: str | None = Field(examples=["郑州市第一职业学校"])
    same_school: bool
    source: Literal["face_enrolment", "portrait"]
    kind: Literal["same", "near_duplicate"] = Field(
        description="same：同一张照片；near_duplicate：几乎相同 · the same picture, or nearly so"
    )
    sent_by_other: bool = Field(
        description="后提交的是另一名学生 · the other student sent it later, and was refused"
    )
    at: datetime


def shared_picture_out(row: SharedPictureRow) -> SharedPictureOut:
    """A finding as the API returns it."""
    finding = row.finding
    return SharedPictureOut.model_validate(
        {
            "id": finding.id,
            "school_id": finding.school_id,
            "school_name": row.school_name,
            "student_id": finding.student_id,
            "student_name": row.student_name,
            "other_student_name": row.other_name,
            "other_school_name": row.other_school_name,
            "same_school": finding.school_id == finding.other_school_id,
            "source": finding.source,
            "kind": finding.kind,
            "sent_by_other": finding.sent_by_other,
            "at": finding.at,
        }
    )
