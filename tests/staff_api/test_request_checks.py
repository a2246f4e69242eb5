"""Checks of every request: query parameters, media types, and what is wrong with each field."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.web.field_messages import message_zh
from backend.staff_api.organisation import people, rosters, terms, units
from tests.support.province import SampleProvince, create_sample_province, province_account, registrar_account
from tests.support.staff_client import StaffClient, staff_client

TERM = {"code": "2031-autumn", "starts_on": "2031-09-01", "ends_on": "2032-01-31", "vacations": []}


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=0)


@pytest.fixture(scope="module")
async def client(app_context: AppContext) -> AsyncIterator[StaffClient]:
    client = staff_client(app_context, units.router, terms.router, people.router, rosters.router)
    async with client.http:
        yield client


async def test_unknown_query_parameter_is_named_with_those_that_exist(
    client: StaffClient, world: SampleProvince
) -> None:
    answer = await client.get(registrar_account(world.school), "/v1/students", study_form="part_time")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "query_parameter_unknown")
    assert "study_form" in problem["detail_en"]
    assert "class_id" in problem["detail_en"]
    assert "study_form" in problem["detail_zh"]


async def test_repeated_query_parameter_is_refused(client: StaffClient, world: SampleProvince) -> None:
    answer = await client.get(registrar_account(world.school), "/v1/students", limit=[1, 2])
    assert (answer.status_code, answer.json()["code"]) == (422, "query_parameter_repeated")


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml"])
async def test_body_of_another_media_type_is_415(
    client: StaffClient, world: SampleProvince, content_type: str
) -> None:
    actor = province_account(world.province)
    answer = await client.send(
        actor, "POST", "/v1/terms", content=b"code=2031", headers={"Content-Type": content_type}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_unsupported")
    assert answer.headers["accept"] == "application/json"


async def test_roster_in_a_form_is_415_and_not_an_unreadable_file(
    client: StaffClient, world: SampleProvince
) -> None:
    answer = await client.send(
        registrar_account(world.school),
        "POST",
        "/v1/roster-imports?file_name=a.xlsx",
        files={"file": ("a.xlsx", b"PK")},
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_unsupported")
    assert answer.headers["accept"] == "application/octet-stream"


@pytest.mark.parametrize("epoch", [1_900_000_000, "1900000000", 1.9e9, True])
async def test_number_is_not_read_as_a_date(
    client: StaffClient, world: SampleProvince, epoch: object
) -> None:
    body = {**TERM, "org_id": str(world.province.id), "starts_on": epoch}
    answer = await client.post(province_account(world.province), "/v1/terms", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")
    assert [error["field"] for error in answer.json()["errors"]] == ["body.starts_on"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("en-GB", "en"),
        ("en-GB;q=0", "zh"),
        ("en;q=0, zh;q=0", "zh"),
        ("zh;q=0.1, en;q=0.2", "en"),
        ("", "zh"),
    ],
)
async def test_field_messages_are_in_the_clients_language(
    client: StaffClient, world: SampleProvince, accepted: str, language: str
) -> None:
    answer = await client.send(
        province_account(world.province),
        "POST",
        "/v1/terms",
        json={"code": "", "colour": 1},
        headers={"Accept-Language": accepted},
    )
    problem = answer.json()
    assert problem["detail"] == problem[f"detail_{language}"]
    errors = {each["field"]: each for each in problem["errors"]}
    assert errors["body.org_id"]["message_zh"] == "缺少此项，请补填"
    assert errors["body.org_id"]["message_en"] == "Field required"
    assert errors["body.colour"]["message_zh"] == "没有这个字段，请删去或核对拼写"
    assert errors["body.code"]["message_zh"] == "至少 1 个字符"
    assert all(each["message"] == each[f"message_{language}"] for each in errors.values())


@pytest.mark.parametrize(
    ("error", "zh"),
    [
        ({"type": "greater_than_equal", "ctx": {"ge": 1}}, "不能小于 1"),
        (
            {"type": "text_not_storable", "ctx": {"zh": "含有不能保存的控制字符，请删去"}},
            "含有不能保存的控制字符，请删去",
        ),
        ({"type": "never_heard_of"}, "值的格式不对，请按接口文档填写"),
        ({"type": "too_long", "ctx": {}}, "值的格式不对，请按接口文档填写"),
    ],
)
def test_message_falls_back_when_its_type_or_context_is_unknown(error: dict[str, Any], zh: str) -> None:
    assert message_zh(error) == zh
