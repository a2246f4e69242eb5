"""API schemas of the audit log."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.tables import AuditEntry


class AuditEntryOut(BaseModel):
    """Who did what to which record. `acted_by` is null for the system."""

    id: UUID
    at: datetime
    action: str = Field(examples=["prompt.raised"])
    subject_type: str = Field(examples=["prompt"])
    subject_id: str = Field(examples=["0190d3a1-8b1e-7c3a-9f00-000000000001"])
    student_id: UUID | None = Field(
        description="记录对象是学生或其核验结果时 · if the record is a student or a student's result"
    )
    student_name: str | None = Field(default=None, examples=["李明"])
    unit_name: str | None = Field(examples=["郑州市第一职业学校"])
    acted_by: UUID | None = Field(description="办理账号，系统办理的为空 · the account; null for the system")
    acted_by_name: str | None = Field(
        default=None,
        description="无权查看的账号为空 · null for an account that the reader may not see",
        examples=["王老师"],
    )
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def from_entry(cls, entry: AuditEntry, unit_names: dict[str, str]) -> Self:
        return cls(
            id=entry.id,
            at=entry.at,
            action=entry.action,
            subject_type=entry.subject_type,
            subject_id=entry.subject_id,
            student_id=_student_of(entry),
            unit_name=unit_names.get(entry.org_path),
            acted_by=entry.acting_account,
            before=entry.before,
            after=entry.after,
        )


def _student_of(entry: AuditEntry) -> UUID | None:
    if entry.subject_type == "student":
        return UUID(entry.subject_id)
    return UUID(entry.subject_id.partition("/")[2]) if entry.subject_type == "outcome" else None
