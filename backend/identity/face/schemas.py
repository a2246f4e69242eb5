"""Wire schemas of submitted pictures: enrolment shots, the ID portrait, and pictures sent for two students."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import LongText, Schema
from backend.identity.face.review.portraits import PortraitRow
from backend.identity.face.review.replacements import Replacement
from backend.identity.face.review.shared_picture_reports import SharedPictureRow
from backend.identity.tables import FaceEnrolment, Portrait


class PictureReasonOut(BaseModel):
    """Why a picture was refused; `shot` counts from 0 and is null for all shots together."""

    shot: int | None
    code: str = Field(examples=["too_dark"])
    zh: str = Field(examples=["光线太暗。请到明亮处再拍。"])
    en: str = Field(examples=["It is too dark. Go where there is more light."])


class PictureStateOut(BaseModel):
    """The state of submitted pictures: none, pending, accepted, review or refused."""

    state: Literal["none", "pending", "accepted", "review", "refused"]
    reasons: list[PictureReasonOut] = []
    submitted_at: datetime | None = None
    decided_at: datetime | None = None


def picture_state_out(row: FaceEnrolment | Portrait | None) -> PictureStateOut:
    """The latest submission as the API returns it."""
    if row is None:
        return PictureStateOut(state="none")
    return PictureStateOut.model_validate(
        {
            "state": row.status,
            "reasons": [PictureReasonOut.model_validate(reason) for reason in row.reasons],
            "submitted_at": row.submitted_at,
            "decided_at": row.decided_at,
        }
    )


class ReplacementIn(Schema):
    """One person's answer to the replacement of a face."""

    approved: bool
    seen_in_person: bool = Field(
        default=False,
        description="学校同意前须当面核对 · needed for the school's approval",
        examples=[True],
    )
    reasons: LongText = Field(examples=["当面核对本人与新照片一致。"])


class ReplacementAnswerOut(BaseModel):
    """An answer, of the school or of its superior."""

    side: Literal["school", "superior"]
    approved: bool
    seen_in_person: bool
    reasons: str = Field(examples=["当面核对本人与新照片一致。"])
    at: datetime


class ReplacementOut(BaseModel):
    """A new face that two persons decide on: one of the school and one of its superior."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    student_id: UUID
    student_name: str = Field(examples=["张三"])
    state: Literal["open", "approved", "refused"]
    shots: int = Field(description="新照片张数，见 …/pictures/0 起 · pictures 0 to shots - 1", examples=[3])
    answers: list[ReplacementAnswerOut]
    submitted_at: datetime
    decided_at: datetime | None


_REPLACEMENT_STATES = {"review": "open", "accepted": "approved", "refused": "refused"}


def replacement_out(row: Replacement) -> ReplacementOut:
    """A replacement as the API returns it."""
    enrolment = row.enrolment
    return ReplacementOut.model_validate(
        {
            "id": enrolment.id,
            "school_id": enrolment.school_id,
            "student_id": enrolment.student_id,
            "student_name": row.student.name,
            "state": _REPLACEMENT_STATES[enrolment.status],
            "shots": enrolment.shots,
            "answers": [
                ReplacementAnswerOut.model_validate(each, from_attributes=True) for each in row.answers
            ],
            "submitted_at": enrolment.submitted_at,
            "decided_at": enrolment.decided_at,
        }
    )


class PortraitDecisionIn(Schema):
    """The registrar's decision on a portrait; the student reads the reasons of a refusal."""

    accepted: bool
    reasons: LongText = Field(examples=["照片与本人不符，请重拍。"])


class PortraitOut(BaseModel):
    """An ID portrait with the reasons for its state; the picture is at …/picture."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    student_id: UUID
    student_name: str = Field(examples=["张三"])
    class_name: str = Field(examples=["2024级1班"])
    state: Literal["pending", "review", "accepted", "refused", "replaced"]
    score: float | None = Field(description="与采集人脸的相似度 · similarity to the enrolled face")
    reasons: list[PictureReasonOut]
    submitted_at: datetime
    decided_at: datetime | None


def portrait_out(row: PortraitRow) -> PortraitOut:
    """A portrait as the API returns it."""
    portrait = row.portrait
    return PortraitOut.model_validate(
        {
            "id": portrait.id,
            "school_id": portrait.school_id,
            "student_id": portrait.student_id,
            "student_name": row.student.name,
            "class_name": row.class_name,
            "state": portrait.status,
            "score": portrait.score,
            "reasons": portrait.reasons,
            "submitted_at": portrait.submitted_at,
            "decided_at": portrait.decided_at,
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
    kind: Literal["same", "near_duplicate", "same_person"] = Field(
        description="same：同一张照片；near_duplicate：几乎相同；same_person：上级确认为同一人 · the same picture, or nearly so,"
        " or one person, as a superior confirmed"
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
