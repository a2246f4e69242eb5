"""Wire schemas of a student's own record, its check by the student, and corrections of it."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.errors import BadInput
from backend.core.keys import KeyRing
from backend.core.web.schema_types import LongText, OneOf, Schema, ShortText
from backend.identity.student_record import (
    OwnRecord,
    RecordCheckStatus,
    RecordField,
    RequestCorrection,
    decrypt_claimed_value,
)
from backend.people.categories import DocumentKind, Programme, Sex, StandingCode, StudyFormCode
from backend.people.tables import RecordCheck


class RecordOut(BaseModel):
    """The student's own record; identifiers and the phone number are masked."""

    name: str = Field(examples=["张三"])
    sex: Annotated[str, OneOf(Sex)] = Field(examples=["female"])
    birth_date: date
    document_kind: Annotated[str, OneOf(DocumentKind)] = Field(examples=["resident_id"])
    id_number: str = Field(examples=["110*************2X"])
    student_number: str | None = Field(examples=["G11**************2X"])
    school_name: str = Field(examples=["郑州市某某中等专业学校"])
    class_name: str = Field(examples=["2024级1班"])
    grade: int | None = Field(examples=[2024])
    major: str | None = Field(examples=["机电技术应用"])
    programme: Annotated[str, OneOf(Programme)] = Field(examples=["regular"])
    study_form: StudyFormCode = Field(examples=["full_time"])
    standing: StandingCode = Field(examples=["01"])
    entry_month: str | None = Field(examples=["202409"])
    phone: str | None = Field(examples=["138******00"])


class RecordCheckIn(Schema):
    """`confirmed` if the record is correct; `wrong` with the field and its correct content."""

    result: Literal["confirmed", "wrong"]
    field: RecordField | None = Field(default=None, examples=[None])
    claimed: ShortText | None = Field(default=None, examples=[None])
    note: LongText | None = Field(default=None, examples=[None])

    def correction(self) -> RequestCorrection | None:
        """The requested correction; None for a confirmation. Raises `BadInput` for contradictory fields."""
        if self.result == "confirmed":
            if self.field is not None or self.claimed is not None:
                raise BadInput(
                    field="result",
                    reason_zh="确认无误时不填更正项",
                    reason_en="a confirmation names no field",
                )
            return None
        if self.field is None or self.claimed is None:
            raise BadInput(
                field="field",
                reason_zh="请填写有误的项目和正确内容",
                reason_en="state which field is wrong and its correct content",
            )
        return RequestCorrection(self.field, self.claimed, self.note)


class RecordCheckOut(BaseModel):
    """One check of the record by the student, and the decision on a requested correction."""

    id: UUID
    status: Annotated[str, OneOf(RecordCheckStatus)] = Field(examples=["confirmed"])
    field: Annotated[str, OneOf(RecordField)] | None
    claimed: str | None
    at: datetime
    decided_at: datetime | None
    decided_note: str | None


class CorrectionOut(BaseModel):
    """A correction that a student requested."""

    id: UUID
    student_id: UUID
    student_name: str = Field(examples=["张三"])
    class_name: str = Field(examples=["2024级1班"])
    field: Annotated[str, OneOf(RecordField)] = Field(examples=["phone"])
    claimed: str = Field(examples=["13900000000"])
    note: str | None
    status: Annotated[str, OneOf(RecordCheckStatus)] = Field(examples=["open"])
    at: datetime
    decided_at: datetime | None
    decided_note: str | None


class CorrectionDecisionIn(Schema):
    """The registrar's decision."""

    decision: Literal["accepted", "declined"]
    note: LongText | None = Field(default=None, examples=["已与户口簿核对"])


def record_out(record: OwnRecord) -> RecordOut:
    """The own record as the API returns it."""
    return RecordOut.model_validate(record, from_attributes=True)


def record_check_out(check: RecordCheck, keys: KeyRing) -> RecordCheckOut:
    """A check of the record as the API returns it."""
    return RecordCheckOut(
        id=check.id,
        status=check.status,
        field=check.field,
        claimed=decrypt_claimed_value(check, keys),
        at=check.at,
        decided_at=check.decided_at,
        decided_note=check.decided_note,
    )


def correction_out(check: RecordCheck, student_name: str, class_name: str, keys: KeyRing) -> CorrectionOut:
    """A requested correction as the API returns it."""
    return CorrectionOut(
        id=check.id,
        student_id=check.student_id,
        student_name=student_name,
        class_name=class_name,
        field=check.field or "",
        claimed=decrypt_claimed_value(check, keys) or "",
        note=check.note,
        status=check.status,
        at=check.at,
        decided_at=check.decided_at,
        decided_note=check.decided_note,
    )
