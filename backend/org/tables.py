"""Tables: units (authorities and schools), terms, vacations, and loaded calendar years."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base
from backend.core.ltree import Ltree


class OrgUnit(Base):
    """An authority or a school. `path` consists of labels from the province down, see `paths.py` (HN334-2.3)."""

    __tablename__ = "org_unit"
    __tenancy__ = "open"
    __table_args__ = (
        CheckConstraint("kind IN ('province', 'city', 'county', 'school')", name="kind"),
        UniqueConstraint("kind", "code"),
        Index("ix_org_unit_path", "path", postgresql_using="gist"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    code: Mapped[str]
    name: Mapped[str]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("org_unit.id"))
    path: Mapped[str] = mapped_column(Ltree(), unique=True)
    created_at: Mapped[datetime]


class Term(Base):
    """A school term of a unit, and of the units below it that have no term of their own. Days are legal days."""

    __tablename__ = "term"
    __tenancy__ = "open"
    __table_args__ = (
        UniqueConstraint("org_id", "code"),
        CheckConstraint("starts_on < ends_on", name="order"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    code: Mapped[str]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    created_at: Mapped[datetime]


class VacationRecord(Base):
    """Days within a term on which periods pause (readings 4 and 5); both days are included."""

    __tablename__ = "vacation"
    __tenancy__ = "open"
    __table_args__ = (CheckConstraint("starts_on <= ends_on", name="order"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    term_id: Mapped[UUID] = mapped_column(ForeignKey("term.id"), index=True)
    name: Mapped[str]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    declared_at: Mapped[datetime]


class LoadedCalendarYear(Base):
    """The official holidays and make-up workdays of a year, loaded by an administrator (reading 7)."""

    __tablename__ = "calendar_year"
    __tenancy__ = "open"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    days: Mapped[dict[str, Any]]
    source: Mapped[str]
    loaded_by: Mapped[UUID | None]
    loaded_at: Mapped[datetime]
    """When the year was first loaded; an amended notice does not change it."""
