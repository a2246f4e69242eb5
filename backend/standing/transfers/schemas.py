"""Wire schemas of quarantined enrolments."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import LongText, Schema
from backend.org.tables import OrgUnit
from backend.standing.transfers.queries import QuarantineView
from backend.standing.transfers.rules import QuarantineState


class QuarantineDecisionIn(Schema):
    """`transferred`, `different_person`, `error`: by the authority above both schools; `withdrawn`: by the importing school.

    `transferred` closes the record in the earlier school (转出) and opens it in the importing one (转入).
    """

    outcome: Literal[
        QuarantineState.TRANSFERRED,
        QuarantineState.DIFFERENT_PERSON,
        QuarantineState.ERROR,
        QuarantineState.WITHDRAWN,
    ]
    reasons: LongText = Field(
        description="如何核实 · how it was verified", examples=["两校及学生本人均确认学生仍在原校就读"]
    )


class QuarantineUnitOut(BaseModel):
    """A school or an authority."""

    id: UUID
    name: str = Field(examples=["郑州市某某中等专业学校"])

    @classmethod
    def of(cls, unit: OrgUnit) -> "QuarantineUnitOut":
        return cls(id=unit.id, name=unit.name)


class QuarantinedEnrolmentOut(BaseModel):
    """A row of a roster whose ID number is on another school's roll. It is not a student and counts in no total."""

    id: UUID
    state: QuarantineState
    school: QuarantineUnitOut = Field(description="导入该行的学校 · the school that imported the row")
    holder: QuarantineUnitOut = Field(description="现有学籍的学校 · the school that has the student")
    holder_student_id: UUID
    holder_student_name: str | None = Field(default=None, examples=["李明"])
    deciding_unit: QuarantineUnitOut = Field(
        description="两校共同的上级，由其核定 · the lowest authority above both schools, which decides"
    )
    id_number_masked: str = Field(examples=["410*************2X"])
    name_in_file: str | None = Field(
        description="花名册所填姓名，现有学籍的学校不可见 · hidden from the holder", examples=["张三"]
    )
    name_on_roll: str | None = Field(
        description="现有学籍的姓名，导入学校不可见 · hidden from the importing school", examples=["张三"]
    )
    imported_at: datetime
    decided_at: datetime | None
    reasons: str | None

    @classmethod
    def of(cls, view: QuarantineView) -> "QuarantinedEnrolmentOut":
        row = view.row
        return cls(
            id=row.id,
            state=QuarantineState(row.state),
            school=QuarantineUnitOut.of(view.school),
            holder=QuarantineUnitOut.of(view.holder),
            holder_student_id=row.holder_student_id,
            deciding_unit=QuarantineUnitOut.of(view.deciding_unit),
            id_number_masked=row.masked_number,
            name_in_file=view.name_in_file,
            name_on_roll=view.name_on_roll,
            imported_at=row.imported_at,
            decided_at=row.decided_at,
            reasons=row.reasons,
        )
