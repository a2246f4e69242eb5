"""Schema types of a student's activation."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import Line, Paragraph, Schema
from backend.identity.student_record import RecordField


class MeOut(BaseModel):
    """How far the activation is (HN334-3.1)."""

    account_id: UUID
    student_id: UUID
    name: str = Field(examples=["张三"])
    done: list[str] = Field(examples=[["account", "record_check"]])
    open: list[str] = Field(examples=[["location_consent", "face", "portrait"]])
    activated: bool
    cool_down_until: datetime | None = Field(
        description="换绑后此前签到需二次核验 · until then each check-in steps up"
    )


class RecordOut(BaseModel):
    """The own record; identifiers and the phone number are masked."""

    name: str = Field(examples=["张三"])
    sex: str = Field(examples=["female"])
    birth_date: date
    document_kind: str = Field(examples=["resident_id"])
    id_number: str = Field(examples=["110*************2X"])
    student_number: str | None = Field(examples=["G11**************2X"])
    school_name: str = Field(examples=["郑州市某某中等专业学校"])
    class_name: str = Field(examples=["2024级1班"])
    grade: int | None = Field(examples=[2024])
    major: str | None = Field(examples=["机电技术应用"])
    programme: str = Field(examples=["regular"])
    study_form: str = Field(examples=["full_time"])
    standing: str = Field(examples=["01"])
    entry_month: str | None = Field(examples=["202409"])
    phone: str | None = Field(examples=["138******00"])


class RecordCheckIn(Schema):
    """`confirmed` finds the record right; `wrong` says which field should hold what."""

    result: Literal["confirmed", "wrong"]
    field: RecordField | None = Field(default=None, examples=[None])
    claimed: Line | None = Field(default=None, examples=[None])
    note: Paragraph | None = Field(default=None, examples=[None])


class RecordCheckOut(BaseModel):
    """One look at the record, and what became of a claim."""

    id: UUID
    status: str = Field(examples=["confirmed"])
    field: str | None
    claimed: str | None
    at: datetime
    decided_at: datetime | None
    decided_note: str | None


class ConsentIn(Schema):
    """One answer to one question, under the text that was shown."""

    kind: Line = Field(examples=["face_use"])
    granted: bool
    text_version: Line = Field(examples=["face-use-1"])
    guardian_name: Line | None = Field(default=None, examples=[None])


class ConsentOut(BaseModel):
    """A kind of consent, its text in force, and the newest answer; `granted` is null before any."""

    kind: str = Field(examples=["face_use"])
    text_version: str = Field(description="现行文本 · the text in force", examples=["face-use-1"])
    granted: bool | None
    answered_version: str | None = Field(examples=["face-use-1"])
    at: datetime | None


class ReasonOut(BaseModel):
    """Why a picture cannot be used; `shot` counts from 0, null speaks of all together."""

    shot: int | None
    code: str = Field(examples=["too_dark"])
    zh: str = Field(examples=["光线太暗。请到明亮处再拍。"])
    en: str = Field(examples=["It is too dark. Go where there is more light."])


class PictureStateOut(BaseModel):
    """Pictures and what became of them. `state` is none, pending, accepted, review or refused."""

    state: Literal["none", "pending", "accepted", "review", "refused"]
    reasons: list[ReasonOut] = []
    submitted_at: datetime | None = None
    decided_at: datetime | None = None


class NonFaceRouteIn(Schema):
    """Why the student passes without a face; any reason will do."""

    reason: Line = Field(examples=["不同意使用人脸识别"])
