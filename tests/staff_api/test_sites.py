"""Sites over HTTP: filing, validation, decisions, reading; tenants are isolated."""

import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import shapely
from pyogrio.raw import write
from pyproj import Transformer

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.staff_api.organisation import sites
from geo.datum import Datum
from tests.support.campus import SIDE, SOUTH, WEST, csv_of, polygon, rectangle
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)
from tests.support.staff_client import StaffClient, is_same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=0)


@pytest.fixture(scope="module")
async def client(app_context: AppContext) -> AsyncIterator[StaffClient]:
    client = staff_client(app_context, sites.router)
    async with client.http:
        yield client


def geojson(datum: Datum = Datum.WGS84) -> dict[str, Any]:
    return {"format": "geojson", "datum": datum, "geojson": polygon(rectangle(), datum=datum)}


def filing(outline: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": f"校区{new_id()}",
        "kind": "main",
        "address": "郑州市某路1号",
        "outline": outline or geojson(),
    }


async def file_new_site(
    client: StaffClient, school: SampleSchool, outline: dict[str, Any] | None = None
) -> dict[str, Any]:
    answer = await client.post(registrar_account(school), "/v1/sites", filing(outline))
    assert answer.status_code == 201, answer.text
    site: dict[str, Any] = answer.json()
    return site


async def test_a_gcj02_filing_is_shown_in_wgs84_with_the_original(
    client: StaffClient, world: SampleProvince
) -> None:
    outline = geojson(Datum.GCJ02)
    site = await file_new_site(client, world.school, outline)
    shown = (await client.get(bureau_account(world.city), f"/v1/sites/{site['id']}")).json()
    (version,) = shown["versions"]
    corners = [tuple(point) for point in version["geojson"]["coordinates"][0][0]]
    assert all(
        any(abs(lon - x) < 1e-6 and abs(lat - y) < 1e-6 for x, y in corners) for lon, lat in rectangle()
    )
    assert json.loads(version["original"]) == outline["geojson"]
    assert (version["datum"], version["status"], version["version"]) == ("gcj02", "filed", 1)
    assert shown["effective_version_id"] is None


async def test_a_csv_filing_is_stored_unchanged(client: StaffClient, world: SampleProvince) -> None:
    text = csv_of(rectangle(), Datum.BD09)
    site = await file_new_site(client, world.school, {"format": "csv", "datum": "bd09", "csv": text})
    assert site["versions"][0]["original"] == text
    assert site["versions"][0]["original_format"] == "csv"


async def test_the_superior_approves_and_the_school_sees_the_version_in_force(
    client: StaffClient, world: SampleProvince
) -> None:
    bureau, registrar = bureau_account(world.city), registrar_account(world.school)
    site = await file_new_site(client, world.school)
    path = f"/v1/site-versions/{site['versions'][0]['id']}/decision"
    waiting = await client.every(bureau, "/v1/sites", status="filed", limit=2)
    decided = await client.post(bureau, path, {"outcome": "approved", "opinion": "一致"})
    again = await client.post(bureau, path, {"outcome": "rejected", "opinion": "重审"})
    shown = (await client.get(registrar, f"/v1/sites/{site['id']}")).json()
    assert site["id"] in {each["id"] for each in waiting}
    assert (decided.status_code, again.status_code) == (201, 409)
    assert shown["effective_version_id"] == site["versions"][0]["id"]
    assert shown["versions"][0]["decision"]["opinion"] == "一致"


async def test_another_tenants_site_is_not_found(client: StaffClient, world: SampleProvince) -> None:
    site = await file_new_site(client, world.school)
    strangers = [
        registrar_account(world.sister),
        registrar_account(world.direct),
        counselor_account(world.sister, world.sister.classes[0]),
        bureau_account(world.other_city),
    ]
    version = site["versions"][0]["id"]
    for actor in strangers:
        foreign, absent = [await client.get(actor, f"/v1/sites/{each}") for each in (site["id"], uuid4())]
        assert foreign.status_code == 404
        assert is_same_refusal(foreign, absent)
        foreign, absent = [
            await client.post(actor, f"/v1/site-versions/{each}/decision", {"outcome": "approved"})
            for each in (version, uuid4())
        ]
        assert foreign.status_code == 404
        assert is_same_refusal(foreign, absent)
        assert site["id"] not in {each["id"] for each in await client.every(actor, "/v1/sites")}
    foreign, absent = [
        await client.post(strangers[0], f"/v1/sites/{each}/versions", {"outline": geojson()})
        for each in (site["id"], uuid4())
    ]
    assert foreign.status_code == 404
    assert is_same_refusal(foreign, absent)


async def test_the_school_cannot_approve_and_the_superior_cannot_file(
    client: StaffClient, world: SampleProvince
) -> None:
    site = await file_new_site(client, world.school)
    path = f"/v1/site-versions/{site['versions'][0]['id']}/decision"
    body = {"outcome": "approved"}
    assert (await client.post(registrar_account(world.school), path, body)).status_code == 403
    for actor in (bureau_account(world.city), province_account(world.province)):
        assert (await client.post(actor, "/v1/sites", filing())).status_code == 403
    other = await client.post(
        registrar_account(world.school), f"/v1/sites/{site['id']}/versions", {"outline": geojson()}
    )
    assert (other.status_code, other.json()["version"]) == (201, 2)


async def test_validation_reports_area_or_problem_and_stores_nothing(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = registrar_account(world.school)
    before = await client.every(actor, "/v1/sites")
    good = (await client.post(actor, "/v1/sites/validation", {"outline": geojson(Datum.BD09)})).json()
    assert good["valid"]
    assert good["bbox"] == pytest.approx([WEST, SOUTH, WEST + SIDE, SOUTH + SIDE], abs=1e-6)
    assert good["area_m2"] == pytest.approx(457.9 * 554.7, rel=0.01)
    assert shapely.from_geojson(json.dumps(good["geojson"])).bounds == pytest.approx(good["bbox"])
    bowtie = {
        "type": "Polygon",
        "coordinates": [[[113, 34], [113.01, 34.01], [113.01, 34], [113, 34.01], [113, 34]]],
    }
    outline = {"format": "geojson", "datum": "wgs84", "geojson": bowtie}
    bad = (await client.post(actor, "/v1/sites/validation", {"outline": outline})).json()
    assert not bad["valid"]
    assert [(each["code"], each["reason"]) for each in bad["problems"]] == [
        ("site_invalid", "self_intersection")
    ]
    assert bad["problems"][0]["place"] == pytest.approx([113.005, 34.005])
    refused = await client.post(actor, "/v1/sites", filing(outline))
    assert (refused.status_code, refused.json()["code"]) == (422, "site_refused")
    assert await client.every(actor, "/v1/sites") == before


async def test_malformed_filings_are_refused(client: StaffClient, world: SampleProvince) -> None:
    actor = registrar_account(world.school)
    bodies = [
        filing() | {"status": "approved"},
        filing() | {"name": "a\0b"},
        filing() | {"name": "a\ud800b"},
        filing({"format": "csv", "datum": "wgs84", "csv": "polygon,lon,lat\na\0,1,2"}),
        filing(geojson() | {"datum": "beijing54"}),
        filing() | {"valid_from": "2026-11-20T08:00:00"},
        filing() | {"valid_to": "9999-12-31T23:59:59-10:00"},
    ]
    for body in bodies:
        answer = await client.post(actor, "/v1/sites", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")


async def test_unusual_geojson_properties_are_stored_unchanged(
    client: StaffClient, world: SampleProvince
) -> None:
    feature = {
        "type": "Feature",
        "properties": {"name": "a\0b\ud800"},
        "geometry": {"type": "Polygon", "coordinates": polygon(rectangle())["coordinates"][0]},
    }
    site = await file_new_site(
        client, world.school, {"format": "geojson", "datum": "wgs84", "geojson": feature}
    )
    assert json.loads(site["versions"][0]["original"]) == feature


KML = (
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>{}'
    "</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></kml>"
)


def kml_outline() -> dict[str, Any]:
    corners = " ".join(f"{lon},{lat},0" for lon, lat in rectangle())
    return {"format": "kml", "datum": "wgs84", "kml": KML.format(corners)}


def shapefile_outline(tmp_path: Path, crs: str) -> dict[str, Any]:
    """The rectangle as a zipped shapefile in the coordinates of `crs`."""
    transformer = Transformer.from_crs("EPSG:4490", crs, always_xy=True)
    ring = [transformer.transform(lon, lat) for lon, lat in rectangle()]
    shape = np.array([shapely.to_wkb(shapely.Polygon(ring))], dtype=object)
    path = tmp_path / "site.shp"
    names = [np.array(["x"], dtype=object)]
    write(path, shape, names, ["name"], geometry_type="Polygon", crs=crs, driver="ESRI Shapefile")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for part in tmp_path.glob("site.*"):
            archive.write(part, part.name)
    return {"format": "shapefile", "zip_base64": base64.b64encode(content.getvalue()).decode()}


async def test_kml_and_projected_shapefile_are_filed_with_their_original(
    client: StaffClient, world: SampleProvince, tmp_path: Path
) -> None:
    for outline, member in ((kml_outline(), "kml"), (shapefile_outline(tmp_path, "EPSG:4547"), "zip_base64")):
        site = await file_new_site(client, world.school, outline)
        (version,) = site["versions"]
        assert (version["original_format"], version["original"]) == (outline["format"], outline[member])
        corners = [tuple(point) for point in version["geojson"]["coordinates"][0][0]]
        assert all(
            any(abs(lon - x) < 1e-6 and abs(lat - y) < 1e-6 for x, y in corners) for lon, lat in rectangle()
        )
        assert version["warnings"] == []


async def test_unsuitable_files_are_named_by_validation(
    client: StaffClient, world: SampleProvince, tmp_path: Path
) -> None:
    registrar = registrar_account(world.school)
    for outline, reason in (
        (shapefile_outline(tmp_path, "EPSG:4214"), "crs_unsupported"),
        ({"format": "shapefile", "zip_base64": "AAAA"}, "not_shapefile"),
        ({"format": "shapefile", "zip_base64": "AAAAA"}, "not_shapefile"),
        ({"format": "kml", "datum": "wgs84", "kml": "<gpx/>"}, "not_kml"),
    ):
        answer = await client.post(registrar, "/v1/sites/validation", {"outline": outline})
        assert answer.status_code == 200, answer.text
        [problem] = answer.json()["problems"]
        assert problem["reason"] == reason
    refused = await client.post(
        registrar, "/v1/sites", filing({"format": "kml", "datum": "wgs84", "kml": "<"})
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "site_refused")


async def test_validation_warns_about_a_site_elsewhere(client: StaffClient, world: SampleProvince) -> None:
    outline = {"format": "geojson", "datum": "wgs84", "geojson": polygon(rectangle(west=112.4, south=34.6))}
    body = {"outline": outline}
    answer = (await client.post(registrar_account(world.school), "/v1/sites/validation", body)).json()
    assert answer["valid"]
    [warning] = answer["warnings"]
    assert warning["code"] == "outside_division"
    assert "郑州市" in warning["zh"]
    answer = (await client.post(bureau_account(world.city), "/v1/sites/validation", body)).json()
    assert answer["warnings"] == []


async def test_superior_grants_an_area_exception(client: StaffClient, world: SampleProvince) -> None:
    registrar, bureau = registrar_account(world.sister), bureau_account(world.city)
    large = filing({"format": "geojson", "datum": "wgs84", "geojson": polygon(rectangle(side=0.0177))})
    path = f"/v1/schools/{world.sister.id}/site-area-exceptions"
    body = {"max_area_m2": 3_500_000, "reason": "实测 3.18 平方公里"}
    refused = await client.post(registrar, "/v1/sites", large)
    assert (refused.status_code, refused.json()["code"]) == (422, "site_refused")
    assert "面积例外" in refused.text
    assert (await client.post(registrar, path, body)).status_code == 403
    granted = await client.post(bureau, path, body)
    assert granted.status_code == 201, granted.text
    assert (await client.post(registrar, "/v1/sites", large)).status_code == 201
    listed = (await client.get(registrar, path)).json()["items"]
    assert [item["id"] for item in listed] == [granted.json()["id"]]
    beyond = await client.post(bureau, path, body | {"max_area_m2": 20_000_001})
    assert (beyond.status_code, beyond.json()["code"]) == (422, "area_exception_too_large")
