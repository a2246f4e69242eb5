"""Tables of a school's qualification. Every row is written once; what comes later is another row."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class SchoolLicence(Base):
    """A licence (办学资质) as the superior entered it. Both days are included."""

    __tablename__ = "school_licence"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("valid_from <= valid_until", name="order"),
        Index("ix_school_licence_school", "school_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    number: Mapped[str]
    issued_by: Mapped[str]
    covers: Mapped[str]
    """What it permits, in words: the programmes, and the branches approved by the authority of their place."""
    valid_from: Mapped[date]
    valid_until: Mapped[date]
    recorded_by: Mapped[UUID]
    at: Mapped[datetime]


class LicenceRevocation(Base):
    """The revocation of a licence, from `revoked_on` on."""

    __tablename__ = "licence_revocation"
    __tenancy__ = "school"

    licence_id: Mapped[UUID] = mapped_column(ForeignKey("school_licence.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    revoked_on: Mapped[date]
    reasons: Mapped[str]
    recorded_by: Mapped[UUID]
    at: Mapped[datetime]


class SchoolInspection(Base):
    """An annual inspection. A year may have several; the last one counts. A failed one names the last day to mend."""

    __tablename__ = "school_inspection"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("conclusion IN ('passed', 'failed')", name="conclusion"),
        CheckConstraint("(conclusion = 'failed') = (mend_by IS NOT NULL)", name="mend_by"),
        Index("ix_school_inspection_school", "school_id", "year", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    year: Mapped[int]
    conclusion: Mapped[str]
    findings: Mapped[str]
    inspected_on: Mapped[date]
    mend_by: Mapped[date | None]
    recorded_by: Mapped[UUID]
    at: Mapped[datetime]


class InspectionStep(Base):
    """What came after an inspection: its publication, or that the school mended what was found; each once."""

    __tablename__ = "inspection_step"
    __tenancy__ = "school"
    __table_args__ = (CheckConstraint("kind IN ('published', 'mended')", name="kind"),)

    inspection_id: Mapped[UUID] = mapped_column(ForeignKey("school_inspection.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    day: Mapped[date]
    note: Mapped[str]
    """Where it was published, or how it was mended."""
    recorded_by: Mapped[UUID]
    at: Mapped[datetime]


class SchoolMeasure(Base):
    """A measure against a school, or the lifting of the one in force (MOE19-1.2)."""

    __tablename__ = "school_measure"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('plan_cut', 'registration_suspended', 'intake_stopped', 'lifted')", name="kind"
        ),
        CheckConstraint("ground IN ('failed_inspection', 'unlicensed')", name="ground"),
        CheckConstraint("(kind = 'plan_cut') = (plan_percent IS NOT NULL)", name="plan_percent"),
        CheckConstraint("plan_percent BETWEEN 1 AND 99", name="percent"),
        Index("ix_school_measure_school", "school_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    kind: Mapped[str]
    ground: Mapped[str]
    plan_percent: Mapped[int | None]
    """By how much the intake plan is cut, in percent."""
    mend_by: Mapped[date | None]
    reasons: Mapped[str]
    taken_by: Mapped[UUID]
    at: Mapped[datetime]
