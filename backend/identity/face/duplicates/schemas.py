"""Request and response schemas of the search for one face under two names."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import OneOf, Schema
from backend.identity.face.duplicates.candidates import Answer, CandidateRow


class CandidateStudentOut(BaseModel):
    """One of the two students."""

    student_id: UUID
    name: str = Field(examples=["张三"])
    school_id: UUID
    school_name: str = Field(examples=["郑州市第一职业学校"])


class DuplicateCandidateOut(BaseModel):
    """Two students whose faces are rarely similar: a question, and no finding."""

    id: UUID
    student: CandidateStudentOut
    other: CandidateStudentOut
    score: float = Field(examples=[0.91])
    shown_from: float = Field(description="strangers rarely reach this score", examples=[0.84])
    compared: int = Field(description="pairs compared in the search", examples=[1_500_000])
    at: datetime


class DuplicateAnswerIn(Schema):
    """Whether the two students are one person."""

    answer: Literal["same_person", "different", "unsure"]
    note: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] = Field(
        default="", examples=["两张证件照为不同的人"]
    )


class DuplicateAnsweredOut(BaseModel):
    """A recorded answer."""

    id: UUID
    answer: Annotated[str, OneOf(Answer)] = Field(examples=["different"])
    at: datetime


def candidate_out(row: CandidateRow) -> DuplicateCandidateOut:
    """A pair as the API returns it."""
    candidate = row.candidate
    return DuplicateCandidateOut(
        id=candidate.id,
        student=CandidateStudentOut(
            student_id=row.student.id,
            name=row.student.name,
            school_id=row.student.school_id,
            school_name=row.school_name,
        ),
        other=CandidateStudentOut(
            student_id=row.other.id,
            name=row.other.name,
            school_id=row.other.school_id,
            school_name=row.other_school_name,
        ),
        score=candidate.score,
        shown_from=candidate.shown_from,
        compared=candidate.compared,
        at=candidate.at,
    )
