"""Tables of the search for one face under two names. Rows are only inserted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class DuplicateCandidate(Base):
    """Two students whose faces are rarely similar: a question to a person of the superior authority, and no finding.

    A pair is asked about once, so that an answered one never comes again. `shown_from` is the score that strangers reach
    rarely among `compared` pairs.
    """

    __tablename__ = "duplicate_candidate"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("student_id <> other_student_id", name="students"),
        Index("ix_duplicate_candidate_school", "school_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    other_school_id: Mapped[UUID]
    other_student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    enrolment_id: Mapped[UUID]
    engine: Mapped[str]
    score: Mapped[float]
    shown_from: Mapped[float]
    compared: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


Index(
    "uq_duplicate_candidate_pair",
    func.least(DuplicateCandidate.student_id, DuplicateCandidate.other_student_id),
    func.greatest(DuplicateCandidate.student_id, DuplicateCandidate.other_student_id),
    unique=True,
)


class DuplicateAnswer(Base):
    """The answer of a person of the superior authority who compared the two ID portraits."""

    __tablename__ = "duplicate_answer"
    __tenancy__ = "school"
    __table_args__ = (CheckConstraint("answer IN ('same_person', 'different', 'unsure')", name="answer"),)

    candidate_id: Mapped[UUID] = mapped_column(ForeignKey("duplicate_candidate.id"), primary_key=True)
    school_id: Mapped[UUID]
    other_school_id: Mapped[UUID]
    answer: Mapped[str]
    note: Mapped[str]
    answered_by: Mapped[UUID]
    at: Mapped[datetime]


class DuplicateSearchRun(Base):
    """A search over a province: until when templates were searched, on which legal basis, and how much was compared."""

    __tablename__ = "duplicate_search_run"
    __tenancy__ = "org"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_path: Mapped[str]
    engine: Mapped[str]
    legal_basis: Mapped[str]
    searched_until: Mapped[datetime]
    queries: Mapped[int]
    compared: Mapped[int] = mapped_column(BigInteger)
    candidates: Mapped[int]
    at: Mapped[datetime]
