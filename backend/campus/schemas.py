"""Wire schemas of sites, their filings and decisions."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.campus.outline import Outline
from backend.campus.queries import SiteView, VersionView
from backend.core.web.schema_types import LongText, Schema, ShortText, Timestamp
from geo.datum import Datum

SiteKindName = Literal["main", "branch", "internship"]
FilingStatus = Literal["filed", "approved", "rejected"]

EXAMPLE_SQUARE = [[113.62, 34.75], [113.63, 34.75], [113.63, 34.76], [113.62, 34.76], [113.62, 34.75]]


class GeoJsonOutline(Schema):
    """A Polygon, MultiPolygon, Feature or FeatureCollection from a map editor."""

    format: Literal["geojson"]
    datum: Datum = Field(description="坐标系 · wgs84; 高德、腾讯 gcj02; 百度 bd09", examples=["gcj02"])
    geojson: dict[str, Any] = Field(examples=[{"type": "Polygon", "coordinates": [EXAMPLE_SQUARE]}])

    def outline(self) -> Outline:
        return Outline("geojson", self.datum, json.dumps(self.geojson))


class CsvOutline(Schema):
    """Vertices from a surveyor: columns polygon,lon,lat and one vertex per row."""

    format: Literal["csv"]
    datum: Datum = Field(examples=["wgs84"])
    csv: str = Field(
        min_length=1,
        max_length=1_000_000,
        pattern=r"^[^\x00]+$",
        examples=["polygon,lon,lat\n主校区,113.62,34.75\n主校区,113.63,34.75\n主校区,113.63,34.76\n"],
    )

    def outline(self) -> Outline:
        return Outline("csv", self.datum, self.csv)


OutlineIn = Annotated[GeoJsonOutline | CsvOutline, Field(discriminator="format")]


class FilingIn(Schema):
    """An outline and its validity, the end excluded; by default from now on, without end."""

    outline: OutlineIn
    valid_from: Timestamp | None = None
    valid_to: Timestamp | None = None
    note: LongText | None = Field(default=None, examples=["新增实训楼"])


class SiteIn(FilingIn):
    """A new site with its first version."""

    name: ShortText = Field(examples=["主校区"])
    kind: SiteKindName
    address: ShortText = Field(examples=["郑州市中原区某路1号"])


class OutlineCheckIn(Schema):
    """An outline to validate."""

    outline: OutlineIn


class OutlineProblem(BaseModel):
    """Why an outline cannot be filed."""

    code: str = Field(examples=["site_invalid"])
    reason: str | None = Field(description="the flaw, as a stable code", examples=["self_intersection"])
    zh: str
    en: str


class OutlineCheckOut(BaseModel):
    """The result of validating an outline; area in square metres, bbox west, south, east, north in WGS-84."""

    valid: bool
    problems: list[OutlineProblem]
    area_m2: float | None
    vertices: int | None
    bbox: tuple[float, float, float, float] | None


class DecisionIn(Schema):
    """The superior's decision; a rejection needs an opinion."""

    outcome: Literal["approved", "rejected"]
    opinion: LongText | None = Field(default=None, examples=["范围与备案地址一致"])


class DecisionOut(BaseModel):
    """A decision with its author and time."""

    version_id: UUID
    outcome: Literal["approved", "rejected"]
    opinion: str | None
    decided_by: UUID
    decided_at: datetime


class VersionOut(BaseModel):
    """A filing and the decision on it, if any."""

    id: UUID
    version: int = Field(examples=[1])
    status: FilingStatus
    datum: Datum
    area_m2: float = Field(examples=[1014270.5])
    valid_from: datetime
    valid_to: datetime | None
    note: str | None
    filed_by: UUID
    filed_at: datetime
    decision: DecisionOut | None


class VersionDetailOut(VersionOut):
    """A filing with its outline, as GeoJSON in WGS-84 and in the original."""

    geojson: dict[str, Any]
    original_format: Literal["geojson", "csv"]
    original: str


class SiteSummary(BaseModel):
    """A site and the id of the version in force now, if any."""

    id: UUID
    school_id: UUID
    name: str = Field(examples=["主校区"])
    kind: SiteKindName
    address: str
    effective_version_id: UUID | None


class SiteOut(SiteSummary):
    """A site with its filings, newest first."""

    versions: list[VersionOut]


class SiteDetailOut(SiteSummary):
    """A site with its filings and their outlines."""

    versions: list[VersionDetailOut]


def version_out(view: VersionView) -> VersionOut:
    """A filing, without its outline, as the API returns it."""
    return VersionOut.model_validate(_version_fields(view))


def _version_fields(view: VersionView) -> dict[str, Any]:
    decision = view.decision
    decision_out = None if decision is None else DecisionOut.model_validate(decision, from_attributes=True)
    version = view.version
    names = ("id", "version", "datum", "area_m2", "valid_from", "valid_to", "note", "filed_by", "filed_at")
    return {name: getattr(version, name) for name in names} | {
        "status": view.status,
        "decision": decision_out,
    }


def _version_detail_out(view: VersionView) -> VersionDetailOut:
    assert view.geojson is not None
    outline = {
        "geojson": json.loads(view.geojson),
        "original": view.original,
        "original_format": view.version.format,
    }
    return VersionDetailOut.model_validate(_version_fields(view) | outline)


def _site_fields(view: SiteView) -> dict[str, Any]:
    fields = {name: getattr(view.site, name) for name in ("id", "school_id", "name", "kind", "address")}
    return fields | {"effective_version_id": view.effective_version_id}


def site_out(view: SiteView) -> SiteOut:
    """A site as lists return it."""
    return SiteOut(**_site_fields(view), versions=[version_out(version) for version in view.versions])


def site_detail_out(view: SiteView) -> SiteDetailOut:
    """A site with every outline as the API returns it."""
    return SiteDetailOut(
        **_site_fields(view), versions=[_version_detail_out(version) for version in view.versions]
    )
