"""Wire schemas of sites, their filings and decisions."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.campus.outline import Outline, OutlineFormat
from backend.campus.queries import SiteView, VersionView
from backend.core.web.schema_types import LongText, OneOf, Schema, ShortText, Timestamp
from backend.org.schemas import UnitOut
from geo.datum import Datum
from geo.site import SiteFlaw

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


class KmlOutline(Schema):
    """A KML file of 奥维, Google Earth or another map program."""

    format: Literal["kml"]
    datum: Datum = Field(
        description="KML 规定为 wgs84；在偏移底图上绘制的填 gcj02 或 bd09 · KML is WGS 84 unless drawn on a shifted map",
        examples=["wgs84"],
    )
    kml: str = Field(min_length=1, max_length=2_000_000, pattern=r"^[^\x00]+$", examples=["<kml>…</kml>"])

    def outline(self) -> Outline:
        return Outline("kml", self.datum, self.kml)


class ShapefileOutline(Schema):
    """A zipped shapefile (.shp, .shx, .dbf, .prj) in WGS 84 or CGCS2000, in degrees or projected."""

    format: Literal["shapefile"]
    datum: Datum = Field(
        default=Datum.WGS84,
        description="在偏移底图上绘制的填 gcj02 或 bd09 · other than wgs84 if it was drawn on a shifted map",
        examples=["wgs84"],
    )
    zip_base64: str = Field(
        min_length=1,
        max_length=6_000_000,
        pattern=r"^[A-Za-z0-9+/]+={0,2}$",
        description=".zip 文件内容的 Base64 · the content of the .zip file in base64",
        examples=["UEsDBBQAAAAIAA=="],
    )

    def outline(self) -> Outline:
        return Outline("shapefile", self.datum, self.zip_base64)


OutlineIn = Annotated[
    GeoJsonOutline | CsvOutline | KmlOutline | ShapefileOutline, Field(discriminator="format")
]


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
    reason: Annotated[str, OneOf(SiteFlaw)] | None = Field(
        description="the flaw, as a stable code", examples=["self_intersection"]
    )
    zh: str
    en: str
    place: tuple[float, float] | None = Field(
        description="问题所在的经纬度（WGS-84），如能指出 · longitude and latitude of the problem in WGS-84, if it has a place",
        examples=[[113.625, 34.755]],
    )


class OutlineWarningOut(BaseModel):
    """A sign that the outline was drawn otherwise than meant; it can be filed all the same."""

    model_config = ConfigDict(from_attributes=True)

    code: str = Field(examples=["outside_division"])
    zh: str
    en: str


class OutlineCheckOut(BaseModel):
    """The result of validating an outline; area in square metres, bbox west, south, east, north in WGS-84.

    `geojson` is the outline as it would be stored: in WGS-84, touching and overlapping parts merged.
    """

    valid: bool
    problems: list[OutlineProblem]
    warnings: list[OutlineWarningOut]
    area_m2: float | None
    vertices: int | None
    bbox: tuple[float, float, float, float] | None
    geojson: dict[str, Any] | None


class SiteDecisionIn(Schema):
    """The superior's decision; a rejection needs an opinion."""

    outcome: Literal["approved", "rejected"]
    opinion: LongText | None = Field(default=None, examples=["范围与备案地址一致"])


class SiteDecisionOut(BaseModel):
    """A decision with its author and time."""

    version_id: UUID
    outcome: Literal["approved", "rejected"]
    opinion: str | None
    decided_by: UUID
    decided_by_name: str | None = Field(default=None, examples=["王老师"])
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
    warnings: list[OutlineWarningOut]
    filed_by: UUID
    filed_by_name: str | None = Field(default=None, examples=["王老师"])
    filed_at: datetime
    decision: SiteDecisionOut | None


class VersionDetailOut(VersionOut):
    """A filing with its outline, as GeoJSON in WGS-84 and in the original."""

    geojson: dict[str, Any]
    original_format: OutlineFormat
    original: str = Field(description="原文；shapefile 为 Base64 · the original, a shapefile in base64")


class SiteSummary(BaseModel):
    """A site and the id of the version in force now, if any."""

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
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


class SchoolOut(BaseModel):
    """A school with its superior unit, the students on its roll, its classes and its sites in force."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    code: str = Field(examples=["4141000001"])
    name: str = Field(examples=["郑州市第一职业学校"])
    path: str = Field(examples=["p410000.c410100.s4141000001"])
    parent_id: UUID
    parent_name: str = Field(examples=["郑州市"])
    classes: int = Field(examples=[50])
    students: int = Field(examples=[2400])
    sites: int = Field(description="现行有效的办学地址数 · sites in force", examples=[1])
    without_counselor: int = Field(
        description="有在籍学生而没有辅导员的班级数 · classes with students on the roll and without a counselor",
        examples=[2],
    )
    registrars: int = Field(
        description="可用的学籍管理员账号数 · active accounts of registrars", examples=[1]
    )


class UnitOutlineOut(UnitOut):
    """A unit on the map, in WGS-84. Both fields are null if no approved site of it or below it is in force.

    The outline of a school is its ground; that of an authority is the convex hull of its schools' grounds, not the
    administrative boundary. Internship sites are left out.
    """

    model_config = ConfigDict(from_attributes=True)

    centroid: tuple[float, float] | None = Field(
        description="经度、纬度：学校为场地内一点，主管部门为外包轮廓的中心 · longitude and latitude: of a school a point on"
        " its ground, of an authority the centre of the hull",
        examples=[[113.625, 34.755]],
    )
    outline: dict[str, Any] | None = Field(
        description="GeoJSON MultiPolygon",
        examples=[{"type": "MultiPolygon", "coordinates": [[EXAMPLE_SQUARE]]}],
    )


class UnitOutlinesOut(BaseModel):
    """The units of a map, ordered by path."""

    tolerance_m: int = Field(
        description="轮廓化简的最大偏差，米 · metres by which a simplified outline differs at most",
        examples=[11],
    )
    items: list[UnitOutlineOut]


class AreaExceptionIn(Schema):
    """A permission to file larger sites than policy allows; a later one replaces it."""

    max_area_m2: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        description="平方米 · square metres of one site", examples=[3500000]
    )
    reason: LongText = Field(examples=["高校主校区实测 3.18 平方公里"])
    valid_to: Timestamp | None = None


class AreaExceptionOut(BaseModel):
    """An exception with its author and time."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    max_area_m2: int = Field(examples=[3500000])
    reason: str
    valid_to: datetime | None
    granted_by: UUID
    granted_by_name: str | None = Field(default=None, examples=["王老师"])
    granted_at: datetime


class AreaExceptionsOut(BaseModel):
    """The exceptions of a school, newest first; the newest one counts until it ends."""

    items: list[AreaExceptionOut]


def version_out(view: VersionView) -> VersionOut:
    """A filing, without its outline, as the API returns it."""
    return VersionOut.model_validate(_version_fields(view))


def _version_fields(view: VersionView) -> dict[str, Any]:
    decision = view.decision
    decision_out = (
        None if decision is None else SiteDecisionOut.model_validate(decision, from_attributes=True)
    )
    version = view.version
    names = (
        *("id", "version", "datum", "area_m2", "valid_from", "valid_to", "note", "warnings"),
        *("filed_by", "filed_at"),
    )
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
