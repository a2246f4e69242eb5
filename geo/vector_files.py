"""Converts KML and zipped shapefiles to GeoJSON in degrees of WGS 84 or CGCS2000, by GDAL (pyogrio) and PROJ (pyproj).

The files come from strangers, so GDAL never chooses by itself what to open: a KML document is parsed without document
types first, and of an archive only the parts of shapefiles are unpacked under names of ours. Import this module in a
child process with a memory limit only: it loads GDAL and PROJ.
"""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import ParseError

import numpy as np
import shapely
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException
from numpy.typing import NDArray
from pyogrio import list_layers, set_gdal_config_options
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError
from pyogrio.raw import read
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely import GeometryCollection, MultiPolygon, Polygon

from geo.errors import SiteInvalid
from geo.site import SiteFlaw, site_error

ToDegrees = Callable[[NDArray[np.float64]], NDArray[np.float64]]
VectorFormat = Literal["kml", "shapefile"]

MAX_ENTRIES = 1_000
MAX_UNPACKED_BYTES = 64 * 2**20
MAX_FEATURES = 1_000
"""A school's outline has a few features; a file of a whole county has thousands."""

_SHAPEFILE_MAGIC = b"\x00\x00\x27\x0a"
_PARTS = (".shp", ".shx", ".dbf", ".prj")
_DATUMS = frozenset(
    {"world geodetic system 1984", "wgs 1984", "china 2000", "china geodetic coordinate system 2000"}
)
_DATUMS_WRITTEN = frozenset({"cgcs2000", "cgcs 2000", "wgs84", "wgs 84"})


@dataclass(frozen=True, slots=True)
class FileFlaw:
    """Why a file cannot be converted, as a value, because exceptions with keyword arguments cannot be pickled."""

    flaw: SiteFlaw
    where: str

    def error(self) -> SiteInvalid:
        return site_error(self.flaw, self.where)


class _Unreadable(Exception):
    def __init__(self, flaw: SiteFlaw, where: str = "") -> None:
        super().__init__(flaw)
        self.found = FileFlaw(flaw, where)


def to_geojson(content: bytes, form: VectorFormat) -> str | FileFlaw:
    """The file as a GeoJSON FeatureCollection. Altitudes are left out."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            features = _read_kml(content, Path(folder)) if form == "kml" else _read_zip(content, Path(folder))
    except _Unreadable as unreadable:
        return unreadable.found
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def _read_kml(content: bytes, folder: Path) -> list[dict[str, Any]]:
    """KML is always WGS 84 (OGC 12-007r2); a file drawn on a shifted map has another datum, which the caller declares."""
    try:
        root = ElementTree.fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise _Unreadable(SiteFlaw.NOT_KML, type(error).__name__) from None
    if root.tag.rpartition("}")[2] != "kml":
        raise _Unreadable(SiteFlaw.NOT_KML, root.tag[:40])
    path = folder / "site.kml"
    path.write_bytes(content)
    return _read_layers(path, SiteFlaw.NOT_KML, None)


def _read_zip(content: bytes, folder: Path) -> list[dict[str, Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            layers = _unpack(archive, folder)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _Unreadable(SiteFlaw.NOT_SHAPEFILE, type(error).__name__) from None
    features = []
    for path in layers:
        crs = _read_projection(path.with_suffix(".prj").read_bytes())
        features += _read_layers(path, SiteFlaw.NOT_SHAPEFILE, crs)
    return features


def _unpack(archive: zipfile.ZipFile, folder: Path) -> list[Path]:
    """Unpack the parts of each shapefile under names of ours; returns the paths of the main files."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise _Unreadable(SiteFlaw.FILE_TOO_LARGE)
    by_name = {entry.filename.lower(): entry for entry in entries if "__macosx" not in entry.filename.lower()}
    stems = sorted(name[:-4] for name in by_name if name.endswith(".shp"))
    if not stems:
        raise _Unreadable(SiteFlaw.NOT_SHAPEFILE, ".shp")
    layers = []
    for number, stem in enumerate(stems):
        for suffix in _PARTS:
            entry = by_name.get(stem + suffix)
            if entry is None:
                missing_projection = suffix == ".prj"
                flaw = SiteFlaw.PROJECTION_MISSING if missing_projection else SiteFlaw.NOT_SHAPEFILE
                raise _Unreadable(flaw, f"{stem[-40:]}{suffix}")
            (folder / f"site{number}{suffix}").write_bytes(archive.read(entry))
        layers.append(folder / f"site{number}.shp")
        if not layers[-1].read_bytes().startswith(_SHAPEFILE_MAGIC):
            raise _Unreadable(SiteFlaw.NOT_SHAPEFILE, f"{stem[-40:]}.shp")
    return layers


def _read_projection(text: bytes) -> CRS:
    """The coordinate reference system of a .prj file, if its datum is WGS 84 or CGCS2000."""
    try:
        crs = CRS.from_wkt(text.decode("utf-8", "replace").removeprefix("\ufeff").strip())
    except CRSError:
        raise _Unreadable(SiteFlaw.CRS_UNSUPPORTED, text[:40].decode("ascii", "replace")) from None
    if crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    geodetic = crs.geodetic_crs
    datum = geodetic.datum.name if geodetic is not None and geodetic.datum is not None else ""
    written = datum.replace("_", " ").removeprefix("D ").removesuffix(" ensemble").casefold()
    if written not in _DATUMS | _DATUMS_WRITTEN:
        raise _Unreadable(SiteFlaw.CRS_UNSUPPORTED, crs.name[:100])
    return crs


def _read_layers(path: Path, flaw: SiteFlaw, crs: CRS | None) -> list[dict[str, Any]]:
    set_gdal_config_options({"SHAPE_ENCODING": ""})  # names in any encoding are kept as bytes, never refused
    to_degrees = _degrees_of(crs)
    features: list[dict[str, Any]] = []
    try:
        for layer in range(len(list_layers(path))):
            _, _, geometries, _ = read(path, layer=layer, columns=[], max_features=MAX_FEATURES + 1)
            features += [_feature(wkb, to_degrees) for wkb in geometries]
            if len(features) > MAX_FEATURES:
                raise _Unreadable(SiteFlaw.FILE_TOO_LARGE)
    except (
        DataLayerError,
        DataSourceError,
        FeatureError,
        FieldError,
        GeometryError,
        shapely.GEOSException,
    ) as error:
        raise _Unreadable(flaw, type(error).__name__) from None
    return features


def _degrees_of(crs: CRS | None) -> ToDegrees | None:
    """A function that turns coordinates of the system into longitude and latitude of its own datum, if they differ."""
    if crs is None or crs.is_geographic or crs.geodetic_crs is None:
        return None
    transformer = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    return lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))


def _feature(wkb: bytes | None, to_degrees: ToDegrees | None) -> dict[str, Any]:
    geometry = None if wkb is None else shapely.force_2d(shapely.from_wkb(wkb))
    if geometry is not None and to_degrees is not None:
        geometry = shapely.transform(geometry, to_degrees)
    shown = None if geometry is None else json.loads(shapely.to_geojson(_unwrap(geometry)))
    return {"type": "Feature", "properties": None, "geometry": shown}


def _unwrap(geometry: shapely.Geometry) -> shapely.Geometry:
    """A collection of polygons only, as KML's MultiGeometry, is one MultiPolygon."""
    if isinstance(geometry, GeometryCollection):
        polygons = [part for part in geometry.geoms if isinstance(part, Polygon)]
        if polygons and len(polygons) == len(geometry.geoms):
            return MultiPolygon(polygons)
    return geometry
