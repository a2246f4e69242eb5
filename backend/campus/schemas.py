"""What filings of sites look like on the wire."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.campus.outline import Datum, Outline
from backend.campus.queries import SiteView, VersionView
from backend.core.web.schema_types import Line, Moment, Paragraph, Schema

SiteKindName = Literal["main", "branch", "internship"]
Status = Literal["filed", "approved", "rejected"]

SQUARE = [[113.62, 34.75], [113.63, 34.75], [113.63, 34.76], [113.62, 34.76], [113.62, 34.75]]


class GeoJsonOutline(Schema):
    """A Polygon, MultiPolygon, Feature or FeatureCollection from a map editor."""

    format: Literal["geojson"]
    datum: Datum = Field(description="坐标系 · wgs84; 高德、腾讯 gcj02; 百度 bd09", examples=["gcj02"])
    geojson: dict[str, Any] = Field(examples=[{"type": "Polygon", "coordinates": [SQUARE]}])

    def outline(self) -> Outline:
        return Outline("geojson", self.datum, json.dumps(self.geojson))


class CsvOutline(Schema):
    """Vertices from a surveyor: columns polygon,lon,lat and one vertex a row."""

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
    """An outline, and from when until when (excluded) it shall hold; by default from now on."""

    outline: OutlineIn
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    note: Paragraph | None = Field(default=None, examples=["新增实训楼"])


class SiteIn(FilingIn):
    """A new site with its first version."""

    name: Line = Field(examples=["主校区"])
    kind: SiteKindName
    address: Line = Field(examples=["郑州市中原区某路1号"])


class OutlineCheckIn(Schema):
    """An outline to try."""

    outline: OutlineIn


class OutlineProblem(BaseModel):
    """What stands against filing an outline."""

    code: str = Field(examples=["site_invalid"])
    reason: str | None = Field(description="the flaw, as a stable word", examples=["self_intersection"])
    zh: str
    en: str


class OutlineCheckOut(BaseModel):
    """What filing the outline would say; area in square metres, bbox west, south, east, north in WGS-84."""

    valid: bool
    problems: list[OutlineProblem]
    area_m2: float | None
    vertices: int | None
    bbox: tuple[float, float, float, float] | None


class DecisionIn(Schema):
    """The superior's answer; a rejection says why."""

    outcome: Literal["approved", "rejected"]
    opinion: Paragraph | None = Field(default=None, examples=["范围与备案地址一致"])


class DecisionOut(BaseModel):
    """The answer that was given, by whom and when."""

    version_id: UUID
    outcome: Literal["approved", "rejected"]
    opinion: str | None
    decided_by: UUID
    decided_at: datetime


class VersionOut(BaseModel):
    """One filing and the answer to it, if there is one."""

    id: UUID
    version: int = Field(examples=[1])
    status: Status
    datum: Datum
    area_m2: float = Field(examples=[1014270.5])
    valid_from: datetime
    valid_to: datetime | None
    note: str | None
    filed_by: UUID
    filed_at: datetime
    decision: DecisionOut | None


class VersionDetailOut(VersionOut):
    """The filing with its outline: GeoJSON in WGS-84 for the map, and the original as it was drawn."""

    geojson: dict[str, Any]
    original_format: Literal["geojson", "csv"]
    original: str


class SiteFacts(BaseModel):
    """A site and which of its versions is in force now (null: none)."""

    id: UUID
    school_id: UUID
    name: str = Field(examples=["主校区"])
    kind: SiteKindName
    address: str
    effective_version_id: UUID | None


class SiteOut(SiteFacts):
    """A site and its filings, newest first."""

    versions: list[VersionOut]


class SiteDetailOut(SiteFacts):
    """The same with every outline."""

    versions: list[VersionDetailOut]


def version_out(view: VersionView) -> VersionOut:
    """A filing without its outline."""
    return VersionOut.model_validate(_version(view))


def _version(view: VersionView) -> dict[str, Any]:
    decision = view.decision
    shown = None if decision is None else DecisionOut.model_validate(decision, from_attributes=True)
    version = view.version
    same = ("id", "version", "datum", "area_m2", "valid_from", "valid_to", "note", "filed_by", "filed_at")
    return {name: getattr(version, name) for name in same} | {"status": view.status, "decision": shown}


def _version_detail_out(view: VersionView) -> VersionDetailOut:
    assert view.geojson is not None
    outline = {
        "geojson": json.loads(view.geojson),
        "original": view.original,
        "original_format": view.version.format,
    }
    return VersionDetailOut.model_validate(_version(view) | outline)


def _site(view: SiteView) -> dict[str, Any]:
    same = {name: getattr(view.site, name) for name in ("id", "school_id", "name", "kind", "address")}
    return same | {"effective_version_id": view.effective_version_id}


def site_out(view: SiteView) -> SiteOut:
    """A site as lists show it."""
    return SiteOut(**_site(view), versions=[version_out(version) for version in view.versions])


def site_detail_out(view: SiteView) -> SiteDetailOut:
    """A site with every outline."""
    return SiteDetailOut(**_site(view), versions=[_version_detail_out(version) for version in view.versions])
