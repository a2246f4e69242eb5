"""The routes of the law: what is in force by place and day, the clause report, and the simulator."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.org.calendar import FIXED_HOLIDAYS
from backend.staff_api.law import law_cases, policies
from backend.staff_api.organisation import calendar
from tests.law.test_evaluation import REQUEST
from tests.support.province import (
    SampleProvince,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)
from tests.support.staff_client import StaffClient, staff_client

GRANT = "aid.grant.average_per_year"
ADDED_YEAR = 2094


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=0)


@pytest.fixture(scope="module")
async def client(app_context: AppContext) -> AsyncIterator[StaffClient]:
    client = staff_client(app_context, policies.router, law_cases.router, calendar.router)
    async with client.http:
        yield client


async def test_policies_of_a_day_have_citation_and_history(
    client: StaffClient, world: SampleProvince
) -> None:
    answer = await client.get(registrar_account(world.school), "/v1/policies", on="2024-09-01")
    listed = answer.json()
    assert [each["division"] for each in listed["lineage"]][-2:] == ["410000", "000000"]
    grant = next(each for each in listed["policies"] if each["parameter"] == GRANT)
    assert grant["unit"]["zh"] == "分"
    newer, older = grant["history"][:2]
    assert (newer["since"] > "2024-09-01", grant["in_force"]) == (True, older)
    misses = next(each for each in listed["policies"] if each["parameter"] == "misses.consecutive")
    assert misses["in_force"]["citation"]["clause"] == "HN334-4.1b"
    assert misses["in_force"]["place"]["name"] == "河南"


async def test_place_without_law_is_listed_and_refused(client: StaffClient, world: SampleProvince) -> None:
    bureau = bureau_account(world.city)
    listed = (await client.get(bureau, "/v1/policies", place="140900")).json()
    missing = next(each for each in listed["absent"] if each["parameter"] == "misses.consecutive")
    refused = await client.get(bureau, "/v1/policies/misses.consecutive", place="140900")
    assert (refused.status_code, refused.json()["code"]) == (409, "absent_law")
    assert "140900" in missing["refusal"]["zh"]
    assert (await client.get(bureau, "/v1/policies/misses.total")).status_code == 404


async def test_clause_report_names_no_path_of_the_machine(client: StaffClient, world: SampleProvince) -> None:
    report = (await client.get(province_account(world.province), "/v1/clauses")).json()
    clause = next(each for each in report["clauses"] if each["id"] == "HN334-4.1b")
    assert (clause["status"], report["tests_scanned"]) == ("implemented", True)
    assert any(each.startswith("tests/law/") for each in clause["tests"])
    paths = [path for each in report["clauses"] for path in (*each["source_files"], *each["tests"])]
    assert [path for path in paths if path.startswith("/")] == []


async def test_facts_are_evaluated_and_bad_ones_name_their_field(
    client: StaffClient, world: SampleProvince
) -> None:
    registrar = registrar_account(world.school)
    shown = (await client.post(registrar, "/v1/law-cases/evaluation", REQUEST)).json()
    assert [each["status"]["study_form"]["code"] for each in shown["outcomes"]] == ["full_time", "part_time"]

    bad = {"payment": {"id": "p", "aid": "g", "month": "2025-09", "paid": "2025-09-20 10:00", "fen": 1}}
    refused = (await client.post(registrar, "/v1/law-cases/evaluation", REQUEST | {"facts": [bad]})).json()
    assert refused["code"] == "case_reference_unknown"
    assert refused["errors"][0]["field"] == "body.facts.0.payment.aid"
    assert "“g”" in refused["errors"][0]["message"]

    bad = {"roll_call": {"id": "c1", "on": "2025-09-08", "outcome": "absent"}}
    refused = (await client.post(registrar, "/v1/law-cases/evaluation", REQUEST | {"facts": [bad]})).json()
    assert refused["code"] == "malformed_request"
    assert refused["errors"][0]["field"] == "body.facts.0.roll_call.outcome"

    elsewhere = await client.post(registrar, "/v1/law-cases/evaluation", REQUEST | {"place": "140900"})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "absent_law")


async def test_years_that_the_province_loaded_count_and_are_in_the_file(
    client: StaffClient, world: SampleProvince
) -> None:
    def request(year: int) -> dict[str, Any]:
        on = [f"{year}-09-0{day}" for day in (6, 7)]
        return {
            "name": "载入的年份",
            "terms": [{"code": "T", "from": f"{year}-09-01", "to": f"{year}-12-31"}],
            "facts": [
                *({"roll_call": {"id": day, "on": day, "outcome": "missed"}} for day in on),
                {"prompt_delivered": {"prompt": "misses", "at": f"{year}-09-08 09:00"}},
            ],
            "at": [f"{year}-09-09 09:00"],
        }

    province = province_account(world.province)
    holidays = [f"{ADDED_YEAR}-{month:02d}-{day:02d}" for month, day in FIXED_HOLIDAYS]
    year = {"year": ADDED_YEAR, "source": "测试", "holidays": holidays, "makeup_workdays": []}
    assert (await client.post(province, "/v1/calendar-years", year)).status_code == 201
    known = (await client.post(province, "/v1/law-cases/evaluation", request(ADDED_YEAR))).json()
    [prompt] = known["outcomes"][0]["prompts"]
    assert prompt["due_at"].startswith(f"{ADDED_YEAR}-09-")
    assert f"year: {ADDED_YEAR}" in known["file"]
    unknown = (await client.post(province, "/v1/law-cases/evaluation", request(ADDED_YEAR - 3))).json()
    [prompt] = unknown["outcomes"][0]["prompts"]
    assert (prompt["due_at"], prompt["missing_year"]) == (None, ADDED_YEAR - 3)


@pytest.mark.parametrize("path", ["/v1/policies", "/v1/clauses"])
async def test_counselor_does_not_read_the_law_here(
    client: StaffClient, world: SampleProvince, path: str
) -> None:
    refused = await client.get(counselor_account(world.school, world.school.classes[0]), path)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
