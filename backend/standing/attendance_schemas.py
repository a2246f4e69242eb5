"""Schemas of attendance records."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.core.web.schema_types import LongText, Schema, Timestamp


class AttendanceIn(Schema):
    """Presence or absence at a recent instant. Presence at the same instant corrects a mistaken absence."""

    at: Timestamp = Field(examples=["2026-10-12T08:00:00+08:00"])
    present: bool = Field(description="在校 true，缺勤 false · present or absent", examples=[False])
    note: LongText | None = Field(default=None, examples=["第一节课未到，电话未接"])


class AttendanceOut(BaseModel):
    """An attendance record."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    at: datetime
    present: bool
    note: str | None = Field(examples=["第一节课未到，电话未接"])
    recorded_at: datetime
