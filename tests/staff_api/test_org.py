"""The routes of units, terms and the calendar."""

from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.org.calendar import FIXED_HOLIDAYS
from backend.staff_api.organisation import calendar, terms, units
from tests.support.province import (
    SampleProvince,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
    unique_school_code,
)
from tests.support.staff_client import StaffClient, is_same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-2.3")


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=0)


@pytest.fixture(scope="module")
async def client(app_context: AppContext) -> AsyncIterator[StaffClient]:
    client = staff_client(app_context, units.router, terms.router, calendar.router)
    async with client.http:
        yield client


async def test_account_lists_its_unit_and_those_below_ordered_by_path(
    client: StaffClient, world: SampleProvince
) -> None:
    city = await client.every(bureau_account(world.city), "/v1/units", limit=2)
    paths = [unit["path"] for unit in city]
    assert paths[0] == world.city.path
    assert paths == sorted(paths)
    assert {world.school.path, world.sister.path} <= set(paths)
    assert world.direct.path not in paths
    registrar = await client.every(registrar_account(world.school), "/v1/units")
    assert [unit["id"] for unit in registrar] == [str(world.school.id)]


async def test_units_are_found_by_kind_part_of_name_or_start_of_code(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = province_account(world.province)
    cities = await client.every(actor, "/v1/units", kind="city")
    assert len(cities) == 18
    code = world.school.unit.code
    for text in (code, code[:9], f"第{code}职业"):
        found = await client.every(actor, "/v1/units", kind="school", q=text)
        assert str(world.school.id) in {unit["id"] for unit in found}
    assert await client.every(actor, "/v1/units", q="%_%") == []


async def test_bureau_creates_a_school_that_is_then_listed(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = bureau_account(world.city)
    body = {"code": unique_school_code(), "name": "新校", "parent_id": str(world.city.id)}
    created = await client.post(actor, "/v1/schools", body)
    repeated = await client.post(actor, "/v1/schools", body)
    assert (created.status_code, repeated.status_code) == (201, 409)
    assert repeated.json()["code"] == "code_taken"
    listed = await client.every(actor, "/v1/units", q=body["code"])
    assert [unit["id"] for unit in listed] == [created.json()["id"]]


async def test_parent_outside_the_subtree_answers_like_an_absent_one(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = bureau_account(world.other_city)
    foreign, absent = [
        await client.post(
            actor, "/v1/schools", {"code": unique_school_code(), "name": "校", "parent_id": str(parent)}
        )
        for parent in (world.city.id, uuid4())
    ]
    assert foreign.status_code == 404
    assert is_same_refusal(foreign, absent)
    term = {"code": "x", "starts_on": "2070-09-01", "ends_on": "2070-12-31"}
    foreign, absent = [
        await client.post(registrar_account(world.school), "/v1/terms", term | {"org_id": str(unit)})
        for unit in (world.sister.id, uuid4())
    ]
    assert foreign.status_code == 404
    assert is_same_refusal(foreign, absent)


async def test_counselor_cannot_create_anything(client: StaffClient, world: SampleProvince) -> None:
    actor = counselor_account(world.school, world.school.classes[0])
    unit = str(world.school.id)
    days = {"starts_on": "2070-09-01", "ends_on": "2070-12-31"}
    attempts = {
        "/v1/schools": {"code": unique_school_code(), "name": "校", "parent_id": unit},
        "/v1/counties": {"code": "410122", "name": "县"},
        "/v1/terms": {"org_id": unit, "code": "x", **days},
        "/v1/calendar-years": {"year": 2071, "source": "s", **_days_of(2071)},
    }
    for path, body in attempts.items():
        answer = await client.post(actor, path, body)
        assert (path, answer.status_code) == (path, 403)


def _days_of(year: int) -> dict[str, list[str]]:
    return {
        "holidays": [date(year, month, day).isoformat() for month, day in FIXED_HOLIDAYS],
        "makeup_workdays": [],
    }


async def test_county_must_have_the_code_of_a_county_of_a_city(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = province_account(world.province)
    answer = await client.post(actor, "/v1/counties", {"code": "410181", "name": "巩义"})
    assert (answer.status_code, answer.json()["code"]) == (422, "county_unfit")
    created = await client.post(actor, "/v1/counties", {"code": "410223", "name": "尉氏县"})
    assert created.json()["path"] == "p410000.c410200.x410223"


async def test_term_is_opened_with_vacations_and_another_is_added(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = registrar_account(world.school)
    week = {"name": "国庆", "starts_on": "2071-10-01", "ends_on": "2071-10-07"}
    body = {
        "org_id": str(world.school.id),
        "code": "2071-autumn",
        "starts_on": "2071-09-01",
        "ends_on": "2071-12-31",
        "vacations": [week],
    }
    opened = await client.post(actor, "/v1/terms", body)
    overlapping = await client.post(actor, "/v1/terms", body | {"code": "other"})
    late = {"name": "停课", "starts_on": "2071-11-01", "ends_on": "2071-11-01"}
    extended = await client.post(actor, f"/v1/terms/{opened.json()['id']}/vacations", late)
    assert (opened.status_code, overlapping.status_code, extended.status_code) == (201, 409, 201)
    listed = {term["id"]: term for term in await client.every(actor, "/v1/terms", limit=1)}
    assert listed[opened.json()["id"]]["vacations"] == [week, late]


async def test_province_loads_a_year_and_a_contradictory_one_is_rejected(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = province_account(world.province)
    body = {"year": 2072, "source": "国办通知", **_days_of(2072)}
    refused = await client.post(actor, "/v1/calendar-years", body | {"holidays": []})
    assert (refused.status_code, refused.json()["code"]) == (422, "calendar_year_invalid")
    assert (await client.post(actor, "/v1/calendar-years", body)).status_code == 201
    calendar_body = (await client.get(registrar_account(world.school), "/v1/calendar-years")).json()
    assert 2072 in calendar_body["years"]
    assert 2026 in calendar_body["years"]
    assert body in calendar_body["loaded"]


@pytest.mark.parametrize("cursor", ["x", "WyIwIl0", "WyJwNDEwMDAwLi4iXQ"])
async def test_invented_cursor_is_bad_input(client: StaffClient, world: SampleProvince, cursor: str) -> None:
    for path in ("/v1/units", "/v1/terms"):
        answer = await client.get(province_account(world.province), path, cursor=cursor)
        assert answer.status_code == 422


async def test_unit_outlines_are_answered_once_until_they_change(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = bureau_account(world.city)
    path = f"/v1/unit-outlines?unit_id={world.school.id}"
    first = await client.send(actor, "GET", path)
    assert [item["id"] for item in first.json()["items"]] == [str(world.school.id)]
    again = await client.send(actor, "GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    foreign = await client.send(actor, "GET", f"/v1/unit-outlines?unit_id={world.direct.id}")
    assert foreign.status_code == 404
