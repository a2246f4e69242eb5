"""Tables of aid: applications, awards, payments, the ledger, filings and exports.

Rows are inserted and never updated. Amounts are whole fen. The ids of postings and payments are derived from their
content, so that storing them twice stores them once.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base

_KIND_CHECK = "kind IN ('grant', 'tuition_waiver')"
_ACCOUNT_PAIRS = (
    "(source, target) IN (('budget', 'due'), ('due', 'paid'), ('due', 'withdrawn'), ('withdrawn', 'due'))"
)
_INSTALMENT_KEY = ["award_id", "month"]


class AidApplication(Base):
    """An application for one kind of aid in one term. A further `attempt` is possible only after a refusal."""

    __tablename__ = "aid_application"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint(_KIND_CHECK, name="kind"),
        UniqueConstraint("student_id", "kind", "term_code", "attempt"),
        UniqueConstraint("id", "filed_by"),
        UniqueConstraint("id", "school_id", "student_id", "kind", "term_code"),
        Index("ix_aid_application_school", "school_id", "term_code"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    kind: Mapped[str]
    term_code: Mapped[str]
    attempt: Mapped[int] = mapped_column(SmallInteger)
    filed_by: Mapped[UUID]
    filed_at: Mapped[datetime]


class AidDecision(Base):
    """The only decision on an application, never by the account that filed it (invariant 9); a refusal has reasons."""

    __tablename__ = "aid_decision"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(
            ["application_id", "filed_by"],
            ["aid_application.id", "aid_application.filed_by"],
            name="fk_aid_decision_application",
        ),
        CheckConstraint("decided_by <> filed_by", name="by_another_account"),
        CheckConstraint("outcome IN ('approved', 'refused')", name="outcome"),
        CheckConstraint("outcome = 'approved' OR reasons IS NOT NULL", name="reasons"),
    )

    application_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    outcome: Mapped[str]
    reasons: Mapped[str | None]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    decided_at: Mapped[datetime]


class AidAward(Base):
    """An approved application, with the same id. The law of `term_starts_on` determined its instalments."""

    __tablename__ = "aid_award"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(
            ["id", "school_id", "student_id", "kind", "term_code"],
            [f"aid_application.{name}" for name in ("id", "school_id", "student_id", "kind", "term_code")],
            name="fk_aid_award_application",
        ),
        UniqueConstraint("student_id", "kind", "term_code"),
        UniqueConstraint("id", "school_id", "student_id"),
        Index("ix_aid_award_school", "school_id", "term_code"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    kind: Mapped[str]
    term_code: Mapped[str]
    term_starts_on: Mapped[date]
    policy_version: Mapped[str]
    approved_at: Mapped[datetime]


class AidInstalment(Base):
    """An amount that an award pays at once; `month` is the first day of the month."""

    __tablename__ = "aid_instalment"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(
            ["award_id", "school_id", "student_id"],
            ["aid_award.id", "aid_award.school_id", "aid_award.student_id"],
            name="fk_aid_instalment_award",
        ),
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("EXTRACT(day FROM month) = 1", name="month"),
        Index("ix_aid_instalment_student", "student_id"),
    )

    award_id: Mapped[UUID] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    fen: Mapped[int]


class AidPayment(Base):
    """Money paid out on `paid_on`. The ledger orders payments by `at`, the instant of the student's lock."""

    __tablename__ = "aid_payment"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(
            _INSTALMENT_KEY,
            ["aid_instalment.award_id", "aid_instalment.month"],
            name="fk_aid_payment_instalment",
        ),
        CheckConstraint("fen > 0", name="fen"),
        Index("ix_aid_payment_student", "student_id"),
        Index("ix_aid_payment_award", "award_id", "month"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    award_id: Mapped[UUID]
    month: Mapped[date]
    fen: Mapped[int]
    paid_on: Mapped[date]
    reference: Mapped[str | None]
    source_sha256: Mapped[bytes | None]
    recorded_by: Mapped[UUID]
    at: Mapped[datetime]


class AidPosting(Base):
    """A ledger entry: `fen` moves from `source` to `target`, so the sum of all accounts is always zero.

    The constraint trigger `aid_balanced` ensures that no account of an instalment is negative and that no more than
    the instalment is awarded.
    """

    __tablename__ = "aid_posting"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(
            _INSTALMENT_KEY,
            ["aid_instalment.award_id", "aid_instalment.month"],
            name="fk_aid_posting_instalment",
        ),
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint(_ACCOUNT_PAIRS, name="accounts"),
        Index("ix_aid_posting_student", "student_id", "at"),
        Index("ix_aid_posting_instalment", "award_id", "month"),
        Index("ix_aid_posting_cause", "cause"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    award_id: Mapped[UUID]
    month: Mapped[date]
    source: Mapped[str]
    target: Mapped[str]
    fen: Mapped[int]
    cause: Mapped[str]
    at: Mapped[datetime]
    posted_at: Mapped[datetime]


class AidFiling(Base):
    """A withdrawal, or its reinstatement, that the school files with the aid office after a standing change.

    Its lines are the postings that `entry_id` caused: the change itself, or the entry that reverses it.
    """

    __tablename__ = "aid_filing"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("kind IN ('withdrawal', 'reinstatement')", name="kind"),
        CheckConstraint("(kind = 'withdrawal') = (entry_id = change_id)", name="entry"),
        CheckConstraint("fen > 0", name="fen"),
        UniqueConstraint("change_id", "kind"),
        UniqueConstraint("id", "school_id"),
        Index("ix_aid_filing_school", "school_id", "id"),
        Index("ix_aid_filing_student", "student_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    change_id: Mapped[UUID] = mapped_column(ForeignKey("standing_entry.id"))
    kind: Mapped[str]
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("standing_entry.id"))
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    term_code: Mapped[str]
    fen: Mapped[int]
    filed_at: Mapped[datetime]


class AidAcknowledgement(Base):
    """The aid office has accepted a filing under its own reference number."""

    __tablename__ = "aid_acknowledgement"
    __tenancy__ = "student"

    filing_id: Mapped[UUID] = mapped_column(ForeignKey("aid_filing.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    reference: Mapped[str]
    acknowledged_by: Mapped[UUID]
    at: Mapped[datetime]


class AidExport(Base):
    """A request for a file for the aid office, with requester and purpose (MOE14-5)."""

    __tablename__ = "aid_export"
    __tenancy__ = "org"
    __table_args__ = (UniqueConstraint("id", "requested_by"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_path: Mapped[str]
    purpose: Mapped[str]
    requested_by: Mapped[UUID]
    requested_at: Mapped[datetime]


class AidExportApproval(Base):
    """The approval of an export by a second person."""

    __tablename__ = "aid_export_approval"
    __tenancy__ = "org"
    __table_args__ = (
        ForeignKeyConstraint(
            ["export_id", "requested_by"],
            ["aid_export.id", "aid_export.requested_by"],
            name="fk_aid_export_approval_export",
        ),
        CheckConstraint("approved_by <> requested_by", name="by_another_account"),
    )

    export_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_path: Mapped[str]
    requested_by: Mapped[UUID]
    approved_by: Mapped[UUID]
    at: Mapped[datetime]


class AidExportLine(Base):
    """A filing in an export; it counts as exported once the export is approved."""

    __tablename__ = "aid_export_line"
    __tenancy__ = "school"
    __table_args__ = (
        ForeignKeyConstraint(
            ["filing_id", "school_id"],
            ["aid_filing.id", "aid_filing.school_id"],
            name="fk_aid_export_line_filing",
        ),
    )

    export_id: Mapped[UUID] = mapped_column(ForeignKey("aid_export.id"), primary_key=True)
    filing_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]


class AidFilingExported(Base):
    """The first approved export of a filing."""

    __tablename__ = "aid_filing_exported"
    __tenancy__ = "school"

    filing_id: Mapped[UUID] = mapped_column(ForeignKey("aid_filing.id"), primary_key=True)
    school_id: Mapped[UUID]
    export_id: Mapped[UUID] = mapped_column(ForeignKey("aid_export.id"))
    at: Mapped[datetime]


class AidDuplicate(Base):
    """A finding whether a student is also enrolled in compulsory education (MOE19-3.5); the newest counts."""

    __tablename__ = "aid_duplicate"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_aid_duplicate_student", "student_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    duplicate: Mapped[bool]
    evidence: Mapped[str]
    found_by: Mapped[UUID]
    at: Mapped[datetime]
