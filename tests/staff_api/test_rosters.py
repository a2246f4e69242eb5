"""Endpoints of rosters: import into the registrar's school, all rows or none."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import pytest
from httpx import Response
from openpyxl import load_workbook
from sqlalchemy import func, select

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.writer import Record, write_roster
from backend.people.tables import Student
from backend.staff_api.organisation import rosters
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    bureau_account,
    create_sample_province,
    province_account,
    registrar_account,
)
from tests.support.staff_client import StaffClient, staff_client

IMPORTS = "/v1/roster-imports"


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    """Create organisations without students for each test."""
    return await create_sample_province(owner, app_context.keys, classes=0, students=0)


@pytest.fixture
async def client(app_context: AppContext) -> AsyncIterator[StaffClient]:
    client = staff_client(app_context, rosters.router)
    async with client.http:
        yield client


def generate_records() -> list[Record]:
    plan = plan_school("4141000001", "示例职业学校（虚构）", students=40, part_time_classes=0)
    return list(generate_students(new_id().int % 2**32, [plan]))


def write_workbook(folder: Path, records: list[Record]) -> bytes:
    path = folder / "made.xlsx"
    write_roster(path, records, variant="national", form="xlsx")
    return path.read_bytes()


def write_workbook_with_error(folder: Path) -> bytes:
    [first, *rest] = generate_records()
    return write_workbook(folder, [{**first, "姓名": ""}, *rest])


async def post_import(client: StaffClient, actor: Actor, content: bytes, **params: str) -> Response:
    return await client.http.post(
        IMPORTS,
        params={"file_name": "2026级新生.xlsx", **params},
        content=content,
        headers=client._as(actor) | {"content-type": "application/octet-stream"},
    )


async def count_students(app_context: AppContext, school: SampleSchool) -> int:
    async with app_context.database.transaction(Scope.school(school.id)) as session:
        return await session.scalar(select(func.count()).select_from(Student)) or 0


async def test_registrar_validates_imports_and_imports_again(
    client: StaffClient, app_context: AppContext, world: SampleProvince, tmp_path: Path
) -> None:
    actor, content = registrar_account(world.school), write_workbook(tmp_path, generate_records())
    checked = await post_import(client, actor, content)
    assert checked.status_code == 200, checked.text
    assert (checked.json()["dry_run"], checked.json()["report"]) == (True, None)
    assert checked.json()["summary"]["students"] == 40
    assert await count_students(app_context, world.school) == 0
    reports = [
        (await post_import(client, actor, content, dry_run="false")).json()["report"] for _ in range(2)
    ]
    assert [(each["created"], each["unchanged"]) for each in reports] == [(40, 0), (0, 40)]
    assert await count_students(app_context, world.school) == 40


async def test_file_with_errors_is_rejected_with_its_findings(
    client: StaffClient, app_context: AppContext, world: SampleProvince, tmp_path: Path
) -> None:
    refused = await post_import(
        client, registrar_account(world.school), write_workbook_with_error(tmp_path), dry_run="false"
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "roster_has_errors")
    [found] = refused.json()["errors"]
    assert (found["row"], found["column"], found["letter"], found["code"]) == (
        2,
        "姓名",
        "A",
        "value_missing",
    )
    assert await count_students(app_context, world.school) == 0


async def test_rows_with_errors_are_skipped_only_on_request(
    client: StaffClient, app_context: AppContext, world: SampleProvince, tmp_path: Path
) -> None:
    actor = registrar_account(world.school)
    answer = await post_import(
        client, actor, write_workbook_with_error(tmp_path), dry_run="false", skip_bad_rows="true"
    )
    assert answer.json()["report"]["created"] == 39
    assert answer.json()["summary"]["rows_with_errors"] == 1
    assert await count_students(app_context, world.school) == 39


async def post_annotation(client: StaffClient, actor: Actor, content: bytes, file_name: str) -> Response:
    return await client.http.post(
        "/v1/roster-annotations",
        params={"file_name": file_name},
        content=content,
        headers=client._as(actor) | {"content-type": "application/octet-stream"},
    )


async def test_faulty_cells_are_marked_in_a_workbook_and_nothing_is_kept(
    client: StaffClient,
    app_context: AppContext,
    world: SampleProvince,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content, spool = write_workbook_with_error(tmp_path), tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    answer = await post_annotation(client, registrar_account(world.school), content, "2026级新生.xlsx")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == rosters.XLSX
    assert answer.headers["cache-control"] == "no-store"
    assert unquote(answer.headers["content-disposition"]).endswith("2026级新生-检查结果.xlsx")
    findings, students = load_workbook(BytesIO(answer.content)).worksheets
    assert "value_missing" in [row[5].value for row in findings.iter_rows(min_row=6)]
    assert students["A2"].comment is not None
    assert "value_missing" in students["A2"].comment.text
    assert list(spool.iterdir()) == []
    assert await count_students(app_context, world.school) == 0


@pytest.mark.parametrize(
    ("file_name", "status", "code"),
    [("a.xls", 422, "malformed_request"), ("a.xlsx", 415, "roster_kind_unsupported")],
)
async def test_file_that_is_not_a_roster_is_not_annotated(
    client: StaffClient, world: SampleProvince, file_name: str, status: int, code: str
) -> None:
    actor = registrar_account(world.school)
    refused = await post_annotation(client, actor, b"\xd0\xcf\x11\xe0" * 100, file_name)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_only_registrars_import(client: StaffClient, world: SampleProvince, tmp_path: Path) -> None:
    content = write_workbook(tmp_path, generate_records())
    for actor in (province_account(world.province), bureau_account(world.city)):
        for dry_run in ("true", "false"):
            refused = await post_import(client, actor, content, dry_run=dry_run)
            assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
        refused = await post_annotation(client, actor, content, "a.xlsx")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


async def test_import_affects_only_the_registrars_school(
    client: StaffClient, app_context: AppContext, world: SampleProvince, tmp_path: Path
) -> None:
    content = write_workbook(tmp_path, generate_records())
    await post_import(client, registrar_account(world.sister), content, dry_run="false")
    assert (
        await count_students(app_context, world.school),
        await count_students(app_context, world.sister),
    ) == (0, 40)


@pytest.mark.parametrize(
    ("file_name", "status", "code"),
    [
        ("a.xls", 422, "malformed_request"),
        ("../a.xlsx", 422, "malformed_request"),
        ("a.xlsx", 415, "roster_kind_unsupported"),
        ("a.csv", 422, "roster_encoding_unknown"),
    ],
)
async def test_file_that_is_not_a_roster_is_rejected(
    client: StaffClient, world: SampleProvince, file_name: str, status: int, code: str
) -> None:
    actor = registrar_account(world.school)
    refused = await post_import(client, actor, b"\xd0\xcf\x11\xe0\x00\xff" * 100, file_name=file_name)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_empty_roster_is_rejected(client: StaffClient, world: SampleProvince, tmp_path: Path) -> None:
    actor = registrar_account(world.school)
    template = await client.get(actor, "/v1/roster-template")
    refused = await post_import(client, actor, template.content, dry_run="false")
    assert (refused.status_code, refused.json()["code"]) == (422, "roster_empty")


async def test_upload_beyond_the_limit_is_rejected(
    client: StaffClient, world: SampleProvince, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_workbook(tmp_path, generate_records())
    monkeypatch.setattr(rosters, "MAX_UPLOAD", len(content) - 1)
    refused = await post_import(client, registrar_account(world.school), content)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("variant", ["national", "national-2022"])
async def test_template_is_an_empty_roster(client: StaffClient, world: SampleProvince, variant: str) -> None:
    actor = registrar_account(world.school)
    answer = await client.get(actor, "/v1/roster-template", variant=variant)
    assert answer.headers["content-type"] == rosters.XLSX
    [headers] = load_workbook(BytesIO(answer.content)).worksheets[0].iter_rows(values_only=True)
    assert "*身份证件号" in headers
    checked = await post_import(client, actor, answer.content)
    assert checked.json()["summary"]["rows"] == 0
