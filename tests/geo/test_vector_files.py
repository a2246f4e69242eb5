"""KML files and zipped shapefiles, in degrees and projected, and hostile ones."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyogrio.raw import write
from pyproj import Transformer

from geo import vector_files
from geo.site import SiteFlaw
from geo.vector_files import FileFlaw, to_geojson

BOX = shapely.box(113.529, 34.819, 113.533, 34.822)

ZipWriter = Callable[..., bytes]


@pytest.fixture
def write_zip(tmp_path: Path) -> ZipWriter:
    """A zipped shapefile of geometries, drawn in the coordinates of `crs`."""

    def zipped(
        *geometries: shapely.Geometry | None,
        crs: str = "EPSG:4490",
        without: str = "-",
        name: str = "校园/范围",
        kind: str = "Polygon",
    ) -> bytes:
        path = tmp_path / "out.shp"
        shapes = [None if geometry is None else shapely.to_wkb(geometry) for geometry in geometries]
        names = np.array(["校园"] * len(shapes), dtype=object)
        write(
            path,
            np.array(shapes, dtype=object),
            [names],
            ["名称"],
            geometry_type=kind,
            crs=crs,
            driver="ESRI Shapefile",
            encoding="GBK",
        )
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for part in sorted(tmp_path.glob("out.*")):
                if part.suffix != without:
                    archive.write(part, name + part.suffix.upper())
            archive.writestr(f"__MACOSX/{name}.shp", b"")
            archive.writestr("说明.txt", "x")
        return content.getvalue()

    return zipped


def project(geometry: shapely.Geometry, crs: str, source: str = "EPSG:4490") -> shapely.Geometry:
    transformer = Transformer.from_crs(source, crs, always_xy=True)
    return shapely.transform(geometry, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])))


def geometries(content: bytes, form: vector_files.VectorFormat) -> list[shapely.Geometry | None]:
    converted = to_geojson(content, form)
    assert isinstance(converted, str), converted
    features = json.loads(converted)["features"]
    return [
        feature["geometry"] and shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features
    ]


def flaw(content: bytes, form: vector_files.VectorFormat) -> FileFlaw:
    found = to_geojson(content, form)
    assert isinstance(found, FileFlaw), found
    assert found.error().params["reason"] is found.flaw
    return found


def kml(*placemarks: str, head: str = "") -> bytes:
    body = "".join(f"<Placemark><name>校园</name>{placemark}</Placemark>" for placemark in placemarks)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<Folder><name>一</name>{body}</Folder></Document></kml>"
    ).encode()


def ring(geometry: shapely.Polygon) -> str:
    corners = " ".join(f"{lon},{lat},52" for lon, lat in geometry.exterior.coords)
    return f"<LinearRing><coordinates>{corners}</coordinates></LinearRing>"


def area(outer: shapely.Polygon, inner: shapely.Polygon | None = None) -> str:
    hole = "" if inner is None else f"<innerBoundaryIs>{ring(inner)}</innerBoundaryIs>"
    return f"<Polygon><outerBoundaryIs>{ring(outer)}</outerBoundaryIs>{hole}</Polygon>"


@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4326"])
def test_shapefile_in_degrees_is_read(write_zip: ZipWriter, crs: str) -> None:
    [shape] = geometries(write_zip(BOX, crs=crs), "shapefile")
    assert shape is not None
    assert shapely.equals(shape, BOX)


@pytest.mark.parametrize(
    "crs",
    ["EPSG:4547", "EPSG:4526", "EPSG:4509", "EPSG:32649", "EPSG:3857"],
    ids=["cgcs2000-3-degree", "with-zone-number", "6-degree", "utm", "web-mercator"],
)
def test_projected_shapefile_is_converted_to_degrees(write_zip: ZipWriter, crs: str) -> None:
    source = "EPSG:4326" if crs in {"EPSG:32649", "EPSG:3857"} else "EPSG:4490"
    [shape] = geometries(write_zip(project(BOX, crs, source), crs=crs), "shapefile")
    assert shape is not None
    assert shapely.hausdorff_distance(shape, BOX) < 1e-7


@pytest.mark.parametrize(
    ("crs", "name"),
    [("EPSG:4214", "Beijing 1954"), ("EPSG:4610", "Xian 1980"), ("EPSG:2412", "Beijing 1954")],
)
def test_datum_other_than_wgs84_and_cgcs2000_is_refused_by_name(
    write_zip: ZipWriter, crs: str, name: str
) -> None:
    found = flaw(write_zip(BOX, crs=crs), "shapefile")
    assert found.flaw is SiteFlaw.CRS_UNSUPPORTED
    assert name in found.where


def test_projection_as_domestic_programs_write_it_is_understood(write_zip: ZipWriter) -> None:
    esri = (
        'GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,'
        '298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
    )
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(write_zip(BOX))) as source, zipfile.ZipFile(content, "w") as target:
        for entry in source.infolist():
            text = esri.encode() if entry.filename.lower().endswith(".prj") else source.read(entry)
            target.writestr(entry.filename, text)
    [shape] = geometries(content.getvalue(), "shapefile")
    assert shape is not None
    assert shapely.equals(shape, BOX)


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        (".prj", SiteFlaw.PROJECTION_MISSING),
        (".shx", SiteFlaw.NOT_SHAPEFILE),
        (".dbf", SiteFlaw.NOT_SHAPEFILE),
        (".shp", SiteFlaw.NOT_SHAPEFILE),
    ],
)
def test_missing_part_is_named(write_zip: ZipWriter, without: str, expected: SiteFlaw) -> None:
    found = flaw(write_zip(BOX, without=without), "shapefile")
    assert found.flaw is expected
    assert found.where.endswith(without)


def test_shapes_without_geometry_and_points_are_kept_for_the_reader_to_name(write_zip: ZipWriter) -> None:
    assert geometries(write_zip(BOX, None), "shapefile")[1] is None
    [point] = geometries(write_zip(shapely.Point(113.5, 34.8), kind="Point"), "shapefile")
    assert isinstance(point, shapely.Point)


def test_hostile_archives_are_refused(write_zip: ZipWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flaw(b"no zip", "shapefile").flaw is SiteFlaw.NOT_SHAPEFILE
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        vrt = b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'
        for part, text in ((".shp", vrt), (".shx", b""), (".dbf", b""), (".prj", b"")):
            archive.writestr(f"../../x{part}", text)
    assert flaw(content.getvalue(), "shapefile").flaw is SiteFlaw.NOT_SHAPEFILE
    monkeypatch.setattr(vector_files, "MAX_UNPACKED_BYTES", 100)
    assert flaw(write_zip(BOX), "shapefile").flaw is SiteFlaw.FILE_TOO_LARGE


def test_file_with_too_many_features_is_refused(
    write_zip: ZipWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_files, "MAX_FEATURES", 2)
    assert len(geometries(write_zip(BOX, BOX), "shapefile")) == 2
    assert flaw(write_zip(BOX, BOX, BOX), "shapefile").flaw is SiteFlaw.FILE_TOO_LARGE


def test_kml_is_read_with_holes_and_without_altitudes() -> None:
    hole = shapely.box(113.530, 34.820, 113.531, 34.821)
    [shape] = geometries(kml(area(BOX, hole)), "kml")
    assert shape is not None
    assert shapely.equals(shape, BOX.difference(hole))
    assert not shapely.has_z(shape)


def test_kml_geometry_of_several_polygons_is_one_multipolygon() -> None:
    east = shapely.box(113.543, 34.819, 113.547, 34.822)
    point = "<Point><coordinates>113.5,34.8</coordinates></Point>"
    shapes = geometries(kml(f"<MultiGeometry>{area(BOX)}{area(east)}</MultiGeometry>", point), "kml")
    assert isinstance(shapes[0], shapely.MultiPolygon)
    assert isinstance(shapes[1], shapely.Point)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"<gpx/>",
        b"<kml",
        kml(area(BOX), head='<!DOCTYPE kml [<!ENTITY a "b">]>'),
        kml(area(BOX), head='<!DOCTYPE kml SYSTEM "file:///etc/passwd">'),
    ],
)
def test_what_is_no_kml_is_refused(content: bytes) -> None:
    assert flaw(content, "kml").flaw is SiteFlaw.NOT_KML
