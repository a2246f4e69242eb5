"""API schemas of graduation."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.bilingual import Bilingual
from backend.core.web.bulk_schemas import MAX_ROWS
from backend.core.web.schema_types import Day, Schema
from backend.registration.graduation.errors import BLOCKER_WORDS
from backend.registration.graduation.queries import GraduationRow
from backend.registration.graduation.rules import Blocker, Result, Timing
from backend.registration.graduation.service import Candidate, ClassGraduation, GraduateStudent

CertificateNumber = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{4,40}$")]


class BlockerOut(BaseModel):
    """What must be settled before the student graduates."""

    code: Blocker
    zh: str = Field(examples=["有应发未发的资助"])
    en: str = Field(examples=["aid that is due is not paid"])

    @classmethod
    def of(cls, blocker: Blocker) -> Self:
        words: Bilingual = BLOCKER_WORDS[blocker]
        return cls(code=blocker, zh=words.zh, en=words.en)


class CandidateOut(BaseModel):
    """A student of the class: what is missing, or the number of the certificate."""

    student_id: UUID
    student_name: str = Field(examples=["李明"])
    blockers: list[BlockerOut]
    unpaid_months: list[date]
    certificate_number: str | None = Field(examples=[None])

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        return cls(
            student_id=candidate.student_id,
            student_name=candidate.name,
            blockers=[BlockerOut.of(each) for each in candidate.blockers],
            unpaid_months=list(candidate.unpaid_months),
            certificate_number=candidate.certificate_number,
        )


class ClassGraduationOut(BaseModel):
    """The days on which graduation is processed for a day of leaving, and the students of the class."""

    first_day: date = Field(examples=["2026-06-02"])
    leaving_on: date = Field(examples=["2026-06-30"])
    timing: Timing
    students: list[CandidateOut]

    @classmethod
    def of(cls, found: ClassGraduation) -> Self:
        return cls(
            first_day=found.window.first_day,
            leaving_on=found.window.leaving_on,
            timing=found.timing,
            students=[CandidateOut.of(each) for each in found.candidates],
        )


class GraduateIn(Schema):
    """One student: 07 毕业 graduated, 08 结业 completed."""

    student_id: UUID
    result: Result = Result.GRADUATED
    certificate_number: CertificateNumber = Field(examples=["410100202600123"])


class GraduationsIn(Schema):
    """The graduations of a class; each student is processed alone."""

    leaving_on: Day = Field(description="离校日期 · day of leaving", examples=["2026-06-30"])
    students: list[GraduateIn] = Field(min_length=1, max_length=MAX_ROWS)

    def as_commands(self) -> list[GraduateStudent]:
        return [
            GraduateStudent(each.student_id, each.result, each.certificate_number) for each in self.students
        ]


class GraduationOut(BaseModel):
    """A graduation on file."""

    student_id: UUID
    student_name: str = Field(examples=["李明"])
    class_name: str = Field(examples=["2023级数控1班"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    result: Result
    certificate_number: str = Field(examples=["410100202600123"])
    leaving_on: date
    is_late: bool = Field(description="离校后才办理 · processed after the day of leaving")
    at: datetime

    @classmethod
    def of(cls, row: GraduationRow) -> Self:
        found = row.graduation
        return cls(
            student_id=found.student_id,
            student_name=row.student_name,
            class_name=row.class_name,
            school_id=found.school_id,
            result=Result(found.result),
            certificate_number=found.certificate_number,
            leaving_on=found.leaving_on,
            is_late=found.is_late,
            at=found.at,
        )
