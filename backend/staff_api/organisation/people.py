"""Classes and students on the roll, to read."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.people.queries import (
    ClassRow,
    StudentRow,
    StudentSearch,
    classes_page,
    student_row,
    students_page,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, page_of, position_id

router = APIRouter(prefix="/v1", tags=["名册 · roll"])

SchoolFilter = Annotated[UUID | None, Query(description="只列某校 · only of this school")]
ClassFilter = Annotated[UUID | None, Query(description="只列某班 · only of this class")]


class ClassOut(BaseModel):
    """A class and who looks after it now (null: nobody, so the school is not ready, HN334-3.2)."""

    id: UUID
    school_id: UUID
    name: str = Field(examples=["2024级1班"])
    grade: int | None = Field(examples=[2024])
    major: str | None = Field(examples=["机电技术应用"])
    students: int = Field(examples=[48])
    counselor_id: UUID | None
    counselor_name: str | None = Field(examples=["李老师"])


class StudentOut(BaseModel):
    """A student as lists show them. A student number may carry the ID number, so both are masked."""

    id: UUID
    school_id: UUID
    class_id: UUID
    class_name: str = Field(examples=["2024级1班"])
    name: str = Field(examples=["张三"])
    sex: str = Field(examples=["female"])
    id_number_masked: str = Field(examples=["410*************2X"])
    student_number_masked: str | None = Field(examples=["G41**************2X"])
    study_form: str = Field(examples=["full_time"])
    standing: str = Field(description="学籍状态代码 · code of the standing", examples=["01"])


class StudentDetailOut(StudentOut):
    """The whole record that staff may read."""

    birth_date: date
    document_kind: str = Field(examples=["resident_id"])
    programme: str = Field(examples=["regular"])
    entry_month: str | None = Field(examples=["202409"])
    major: str | None = Field(examples=["机电技术应用"])
    phone: str | None


def _class_out(row: ClassRow) -> ClassOut:
    group, counselor = row.school_class, row.counselor
    return ClassOut(
        id=group.id,
        school_id=group.school_id,
        name=group.name,
        grade=group.grade,
        major=group.major,
        students=row.students,
        counselor_id=counselor.id if counselor else None,
        counselor_name=counselor.name if counselor else None,
    )


def _student_out(row: StudentRow) -> StudentOut:
    return StudentOut.model_validate(row, from_attributes=True)


def _detail_out(row: StudentRow) -> StudentDetailOut:
    return StudentDetailOut.model_validate(row, from_attributes=True)


@router.get("/classes", responses=documented(401, 403, 422))
async def list_classes(
    caller: StaffCaller, school_id: SchoolFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[ClassOut]:
    """班级 · Classes; a counselor's own."""
    async with caller.transaction() as session:
        rows = await classes_page(session, caller.actor, school_id, position_id(cursor), limit + 1)
    return page_of(rows, limit, _class_out, lambda row: row.school_class.id)


@router.get("/students", responses=documented(401, 403, 422))
async def list_students(
    caller: StaffCaller,
    school_id: SchoolFilter = None,
    class_id: ClassFilter = None,
    q: SearchText = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[StudentOut]:
    """学生 · Students by part of a name, student number or whole ID number; a counselor's own classes."""
    search = StudentSearch(school_id=school_id, class_id=class_id, text=q)
    async with caller.transaction() as session:
        rows = await students_page(
            session, caller.actor, caller.app_context.keys, search, position_id(cursor), limit + 1
        )
    return page_of(rows, limit, _student_out, lambda row: row.id)


@router.get("/students/{student_id}", responses=documented(401, 403, 404, 422))
async def get_student(caller: StaffCaller, student_id: UUID) -> StudentDetailOut:
    """一名学生 · One student."""
    async with caller.transaction() as session:
        row = await student_row(session, caller.actor, caller.app_context.keys, student_id)
    return _detail_out(row)
