"""Sites, their filed versions, the decisions on them, and exceptions to the area limit: append-only tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base

WGS84_SRID = 4326


class CampusSite(Base):
    """A place where a school's students must be present; its outlines are in its versions."""

    __tablename__ = "site"
    __tenancy__ = "school"
    __table_args__ = (
        UniqueConstraint("school_id", "name"),
        UniqueConstraint("id", "school_id"),
        CheckConstraint("kind IN ('main', 'branch', 'internship')", name="kind"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    name: Mapped[str]
    kind: Mapped[str]
    address: Mapped[str]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]


class SiteVersion(Base):
    """An immutable filing of a site's outline: WGS-84 polygons, and the original text."""

    __tablename__ = "site_version"
    __tenancy__ = "school"
    __table_args__ = (
        UniqueConstraint("site_id", "version"),
        UniqueConstraint("id", "school_id", "filed_by"),
        ForeignKeyConstraint(["site_id", "school_id"], ["site.id", "site.school_id"]),
        CheckConstraint("valid_from < valid_to", name="validity"),
        CheckConstraint("area_m2 > 0", name="area"),
        CheckConstraint("datum IN ('wgs84', 'gcj02', 'bd09')", name="datum"),
        CheckConstraint("format IN ('geojson', 'csv', 'kml', 'shapefile')", name="format"),
        Index("ix_site_version_school", "school_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    site_id: Mapped[UUID]
    version: Mapped[int]
    polygons: Mapped[Any] = mapped_column(
        Geometry("MULTIPOLYGON", srid=WGS84_SRID, spatial_index=False), deferred=True
    )
    original: Mapped[str] = mapped_column(deferred=True)
    format: Mapped[str]
    datum: Mapped[str]
    area_m2: Mapped[float]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    note: Mapped[str | None]
    warnings: Mapped[list[Any]]
    """What the outline's drawing suggested was not meant; see `campus.outline.OutlineWarning`."""
    filed_by: Mapped[UUID]
    filed_at: Mapped[datetime]


class SiteDecision(Base):
    """The superior's decision on a filing. `filed_by` repeats the filing's, so that a constraint can compare both."""

    __tablename__ = "site_decision"
    __tenancy__ = "school"
    __table_args__ = (
        ForeignKeyConstraint(
            ["version_id", "school_id", "filed_by"],
            ["site_version.id", "site_version.school_id", "site_version.filed_by"],
        ),
        CheckConstraint("decided_by <> filed_by", name="by_another_account"),
        CheckConstraint("outcome IN ('approved', 'rejected')", name="outcome"),
    )

    version_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    outcome: Mapped[str]
    opinion: Mapped[str | None]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    decided_at: Mapped[datetime]


class SiteAreaException(Base):
    """A superior's permission for a school to file larger sites than policy allows. The newest one counts."""

    __tablename__ = "site_area_exception"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("max_area_m2 > 0", name="area"),
        CheckConstraint("granted_at < valid_to", name="validity"),
        Index("ix_site_area_exception_school", "school_id", "granted_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    max_area_m2: Mapped[int]
    reason: Mapped[str]
    valid_to: Mapped[datetime | None]
    granted_by: Mapped[UUID]
    granted_at: Mapped[datetime]
