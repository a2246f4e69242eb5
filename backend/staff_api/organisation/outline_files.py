"""Converting uploaded KML files and shapefiles, in a child process with a memory limit."""

import asyncio
import base64
import binascii
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from backend.campus.errors import SiteRefused
from backend.campus.outline import Outline
from backend.exchange.child_process import run_in_child_process
from backend.exchange.roster.errors import RosterTooLarge
from geo.site import SiteFlaw, site_error

if TYPE_CHECKING:
    from geo.vector_files import FileFlaw

MEMORY_LIMIT = 2**30
"""Bytes that GDAL may allocate for one file; uploads have at most 64 MiB once unpacked."""

_CONCURRENT = asyncio.Semaphore(2)
"""Limits the files that one server process converts at the same time."""


async def convert_outline(outline: Outline) -> Outline:
    """The outline with its GeoJSON, if it is a KML file or a shapefile. Raises `SiteRefused`."""
    if outline.format == "kml":
        content = outline.text.encode()
    elif outline.format == "shapefile":
        content = _decode(outline.text)
    else:
        return outline
    try:
        async with _CONCURRENT:
            converted = await run_in_child_process(partial(_convert, content, outline.format), MEMORY_LIMIT)
    except RosterTooLarge as error:
        raise SiteRefused(site_error(SiteFlaw.FILE_TOO_LARGE)) from error
    if not isinstance(converted, str):
        raise SiteRefused(converted.error())
    return replace(outline, converted=converted)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SiteRefused(site_error(SiteFlaw.NOT_SHAPEFILE, "base64")) from error


def _convert(content: bytes, form: Literal["kml", "shapefile"]) -> "str | FileFlaw":
    from geo.vector_files import to_geojson  # noqa: PLC0415 - GDAL and PROJ are loaded in the child process only

    return to_geojson(content, form)
