"""Sites over HTTP: filing, validation, decisions, reading; tenants are isolated."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

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
