"""Wire schemas of classes and students on the roll."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError

from backend.core.web.bulk_schemas import MAX_ROWS
from backend.core.web.schema_types import OneOf, Schema
from backend.people.categories import DocumentKind, Programme, Sex, StandingCode, StudyFormCode
from backend.people.queries import ClassRow, StudentRow


class ClassOut(BaseModel):
    """A class and its current counselor. Without one, the school is not ready for roll calls (HN334-3.2)."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    name: str = Field(examples=["2024级1班"])
    grade: int | None = Field(examples=[2024])
    major: str | None = Field(examples=["机电技术应用"])
    students: int = Field(examples=[48])
    counselor_id: UUID | None
    counselor_name: str | None = Field(examples=["李老师"])


class ClassesIn(Schema):
    """The classes to assign to a counselor."""

    class_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)]


class AssignmentIn(Schema):
    """A class and the counselor who takes it over."""

    class_id: UUID
    counselor_id: UUID


class AssignmentsIn(Schema):
    """Classes and their counselors; each class at most once."""

    assignments: Annotated[list[AssignmentIn], Field(min_length=1, max_length=MAX_ROWS)]

    @field_validator("assignments")
    @classmethod
    def _require_distinct_classes(cls, assignments: list[AssignmentIn]) -> list[AssignmentIn]:
        if len({each.class_id for each in assignments}) < len(assignments):
            raise PydanticCustomError(
                "class_repeated", "each class once, please", {"zh": "每个班级只能出现一次"}
            )
        return assignments


class StudentOut(BaseModel):
    """A student in a list. A student number can contain the ID number, so both are masked."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    class_id: UUID
    class_name: str = Field(examples=["2024级1班"])
    name: str = Field(examples=["张三"])
    sex: Annotated[str, OneOf(Sex)] = Field(examples=["female"])
    id_number_masked: str = Field(examples=["410*************2X"])
    student_number_masked: str | None = Field(examples=["G41**************2X"])
    study_form: StudyFormCode = Field(examples=["full_time"])
    standing: StandingCode = Field(description="学籍状态代码 · code of the standing", examples=["01"])


class StudentDetailOut(StudentOut):
    """The whole record that staff may read."""

    birth_date: date
    document_kind: Annotated[str, OneOf(DocumentKind)] = Field(examples=["resident_id"])
    programme: Annotated[str, OneOf(Programme)] = Field(examples=["regular"])
    entry_month: str | None = Field(examples=["202409"])
    major: str | None = Field(examples=["机电技术应用"])
    phone: str | None


def class_out(row: ClassRow) -> ClassOut:
    """A class as the API returns it."""
    school_class, counselor = row.school_class, row.counselor
    return ClassOut(
        id=school_class.id,
        school_id=school_class.school_id,
        name=school_class.name,
        grade=school_class.grade,
        major=school_class.major,
        students=row.students,
        counselor_id=counselor.id if counselor else None,
        counselor_name=counselor.name if counselor else None,
    )


def student_out(row: StudentRow) -> StudentOut:
    """A student as lists return it."""
    return StudentOut.model_validate(row, from_attributes=True)


def student_detail_out(row: StudentRow) -> StudentDetailOut:
    """A student as the single-student endpoint returns it."""
    return StudentDetailOut.model_validate(row, from_attributes=True)
