"""A filed site (备案办学地址): the polygons in which a school's students must be present."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import shapely
from shapely import LinearRing, MultiPolygon, Point, Polygon
from shapely.validation import explain_validity

from geo.arrays import FloatArray
from geo.datum import Datum, convert, convert_many, looks_swapped, on_globe
from geo.errors import SiteInvalid, SiteTooLarge
from geo.local_projection import LocalPlane
from geo.probability import Edges, probability_inside

_STRAIGHT_DEGREES = 0.01
"""GeoJSON edges are straight in degrees. In segments of about 1 km, they deviate by less than 2 cm in the plane."""

_REACH_M = 500_000.0
"""Beyond this distance from the site's centre, the scale error of the plane exceeds 0.1 %."""

_HALF_GLOBE_DEGREES = 180.0
_LEAST_DISTINCT = 3


class SiteFlaw(StrEnum):
    """What is wrong with a site, as a stable code."""

    EMPTY = "empty"
    TOO_FEW_VERTICES = "too_few_vertices"
    RING_NOT_CLOSED = "ring_not_closed"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    AXES_SWAPPED = "axes_swapped"
    CROSSES_ANTIMERIDIAN = "crosses_antimeridian"
    SELF_INTERSECTION = "self_intersection"
    TOO_WIDE = "too_wide"
    NOT_GEOJSON = "not_geojson"
    NOT_POLYGON = "not_polygon"
    NOT_CSV = "not_csv"
    CRS_UNSUPPORTED = "crs_unsupported"
    NOT_KML = "not_kml"
    NOT_SHAPEFILE = "not_shapefile"
    PROJECTION_MISSING = "projection_missing"
    FILE_TOO_LARGE = "file_too_large"


_SENTENCES: dict[SiteFlaw, tuple[str, str]] = {
    SiteFlaw.EMPTY: ("没有任何多边形，请至少圈出一块。", "there is no polygon; draw at least one."),
    SiteFlaw.TOO_FEW_VERTICES: ("多边形至少需要三个不同的顶点。", "a polygon needs three distinct vertices."),
    SiteFlaw.RING_NOT_CLOSED: ("环未闭合，末点必须与首点相同。", "a ring must end on its first vertex."),
    SiteFlaw.NOT_FINITE: ("坐标不是有效数字。", "a coordinate is not a finite number."),
    SiteFlaw.OUT_OF_RANGE: ("坐标超出经纬度范围。", "a coordinate is not a place on Earth."),
    SiteFlaw.AXES_SWAPPED: (
        "经纬度似乎颠倒了，应为经度在前。",
        "latitude seems to come first; write longitude first.",
    ),
    SiteFlaw.CROSSES_ANTIMERIDIAN: ("多边形跨越了180度经线。", "a polygon crosses the 180° meridian."),
    SiteFlaw.SELF_INTERSECTION: (
        "多边形自相交或退化，请重新绘制。",
        "a polygon crosses itself or has no area; redraw it.",
    ),
    SiteFlaw.TOO_WIDE: ("各部分相距过远，请分别备案。", "the parts are too far apart; file them separately."),
    SiteFlaw.NOT_GEOJSON: ("不是有效的 GeoJSON。", "this is not valid GeoJSON."),
    SiteFlaw.NOT_POLYGON: (
        "只接受多边形（Polygon 或 MultiPolygon），请删除其他类型的要素。",
        "only Polygon and MultiPolygon are accepted; delete the features of other types.",
    ),
    SiteFlaw.NOT_CSV: (
        "CSV 需要表头 polygon,lon,lat，每行一个顶点。",
        "the CSV needs the header polygon,lon,lat and one vertex a row.",
    ),
    SiteFlaw.CRS_UNSUPPORTED: (
        "不支持该坐标参考系，请转换为 WGS 84（EPSG:4326）或 CGCS2000（EPSG:4490）后重新导出。",
        "the coordinate reference system is not supported; convert to WGS 84 (EPSG:4326) or CGCS2000 (EPSG:4490).",
    ),
    SiteFlaw.NOT_KML: (
        "不是有效的 KML 文件，请重新导出；KMZ 请先解压。",
        "this is not a valid KML file; export it again, and unpack a KMZ.",
    ),
    SiteFlaw.NOT_SHAPEFILE: (
        "不是有效的 Shapefile 压缩包，应为含 .shp、.shx、.dbf、.prj 的 .zip，请重新打包。",
        "this is not a zipped shapefile; pack .shp, .shx, .dbf and .prj into one .zip.",
    ),
    SiteFlaw.PROJECTION_MISSING: (
        "压缩包中缺少 .prj，无法确定坐标参考系，请一并打包。",
        "the .prj file is missing, so the coordinate reference system is unknown; pack it too.",
    ),
    SiteFlaw.FILE_TOO_LARGE: (
        "文件过大或要素过多，请只导出本校范围。",
        "the file is too large or has too many features; export the school's outline only.",
    ),
}


def site_error(flaw: SiteFlaw, where: str = "", place: tuple[float, float] | None = None) -> SiteInvalid:
    """The error for `flaw`: `where` as the file names its position, `place` as WGS-84 longitude and latitude."""
    zh, en = _SENTENCES[flaw]
    shown = f" [{where}]" if where else ""
    return SiteInvalid(reason=flaw, reason_zh=zh, reason_en=en, where=shown, place=place)


_PLACE = re.compile(r"\[(\S+) (\S+)\]")


def _place_of(explanation: str) -> tuple[float, float] | None:
    """The coordinates in an explanation of GEOS, for example `Self-intersection[113.5 34.8]`."""
    found = _PLACE.search(explanation)
    return (float(found[1]), float(found[2])) if found else None


Ring = Sequence[tuple[float, float]]
"""Vertices (lon, lat) in degrees, the last equal to the first."""

Outline = Sequence[Ring]
"""One polygon: its outer ring, then its holes."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One or more polygons with holes, in WGS-84. A point is inside if it is inside any of them; the edge is inside.

    `polygons` is what is stored and drawn (degrees); touching and overlapping parts are merged. `area_m2` is the area on
    the ground. The private fields are the same region in metres on `plane`, precomputed for speed.
    """

    polygons: MultiPolygon
    plane: LocalPlane
    area_m2: float
    _region: MultiPolygon
    _edges: Edges

    @classmethod
    def from_outlines(cls, outlines: Sequence[Outline], *, datum: Datum, max_area_m2: float) -> Self:
        """Build a site from outlines in `datum`. Raises SiteInvalid or SiteTooLarge."""
        if not outlines:
            raise site_error(SiteFlaw.EMPTY)
        merged = shapely.union_all([_polygon(outline, datum) for outline in outlines])
        polygons = _as_multi_polygon(shapely.orient_polygons(merged))
        plane = LocalPlane(polygons.centroid.x, polygons.centroid.y)
        region = _as_multi_polygon(_project(shapely.segmentize(polygons, _STRAIGHT_DEGREES), plane))
        if shapely.hausdorff_distance(Point(0.0, 0.0), region) > _REACH_M:
            raise site_error(SiteFlaw.TOO_WIDE)
        if region.area > max_area_m2:
            raise SiteTooLarge(area_m2=round(region.area), max_area_m2=round(max_area_m2))
        shapely.prepare(region)
        return cls(polygons, plane, region.area, region, _edges(region))

    def signed_distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Metres from n points of the plane to the site's edge; negative inside."""
        distance = shapely.distance(self._region.boundary, shapely.points(x, y))
        return np.where(shapely.contains_xy(self._region, x, y), -distance, distance)

    def probability_inside(self, x: FloatArray, y: FloatArray, sigma: FloatArray) -> FloatArray:
        """The probability mass inside, for normal errors about n points of the plane; see `geo.probability`."""
        return probability_inside(x, y, sigma, self._edges)


def _polygon(outline: Outline, datum: Datum) -> Polygon:
    """One valid WGS-84 polygon. Raises the error for its flaw."""
    if not outline:
        raise site_error(SiteFlaw.TOO_FEW_VERTICES)
    shell, *holes = [_ring(ring, datum) for ring in outline]
    polygon = Polygon(shell, holes)
    if not polygon.is_valid or polygon.area == 0.0:
        explanation = explain_validity(polygon)
        raise site_error(SiteFlaw.SELF_INTERSECTION, explanation, _place_of(explanation))
    return polygon


def _ring(ring: Ring, datum: Datum) -> FloatArray:
    """The ring's vertices in WGS-84, shape (n, 2), checked before conversion."""
    vertices = np.array(ring, dtype=np.float64).reshape(-1, 2)
    lon, lat = vertices[:, 0], vertices[:, 1]
    if not np.isfinite(vertices).all():
        raise site_error(SiteFlaw.NOT_FINITE)
    beyond = ~on_globe(lon, lat)
    if beyond.any():
        lon0, lat0 = vertices[int(beyond.argmax())]
        flaw = SiteFlaw.AXES_SWAPPED if looks_swapped(lon0, lat0) else SiteFlaw.OUT_OF_RANGE
        raise site_error(flaw, f"{lon0}, {lat0}")
    if len(np.unique(vertices, axis=0)) < _LEAST_DISTINCT:
        raise site_error(SiteFlaw.TOO_FEW_VERTICES)
    if not np.array_equal(vertices[0], vertices[-1]):
        place = convert(float(lon[0]), float(lat[0]), source=datum, target=Datum.WGS84)
        raise site_error(SiteFlaw.RING_NOT_CLOSED, f"{lon[0]}, {lat[0]}", place)
    if (np.abs(np.diff(lon)) > _HALF_GLOBE_DEGREES).any():  # the shorter way crosses the antimeridian
        raise site_error(SiteFlaw.CROSSES_ANTIMERIDIAN)
    return np.column_stack(convert_many(lon, lat, source=datum, target=Datum.WGS84))


def _as_multi_polygon(geometry: shapely.Geometry) -> MultiPolygon:
    """Convert any number of polygons to a MultiPolygon."""
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon)]
    return MultiPolygon(parts)


def _project(polygons: MultiPolygon, plane: LocalPlane) -> shapely.Geometry:
    return shapely.transform(polygons, lambda degrees: np.column_stack(plane.project(*degrees.T)))


def _rings(region: MultiPolygon) -> Iterator[LinearRing]:
    for polygon in region.geoms:
        yield polygon.exterior
        yield from polygon.interiors


def _edges(region: MultiPolygon) -> Edges:
    """The oriented edges: outer rings run anticlockwise and holes clockwise, so the interior is always to the left."""
    starts, ends = [], []
    for ring in _rings(region):
        vertices = shapely.get_coordinates(ring)
        starts.append(vertices[:-1])
        ends.append(vertices[1:])
    start, end = np.concatenate(starts), np.concatenate(ends)
    real = (start != end).any(axis=1)
    (x, y), (to_x, to_y) = start[real].T, end[real].T
    return Edges(*map(np.ascontiguousarray, (x, y, to_x, to_y)))
