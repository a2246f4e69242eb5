"""Results and missing students as workbooks: the rows of the lists, within the caller's scope, on record."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any, get_args
from uuid import UUID

import pytest
from httpx import Response
from openpyxl import load_workbook
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.core.web.workbook import XLSX
from backend.people.tables import Student
from backend.roll_call.exports import labels, service
from backend.roll_call.launch.audience import Audience
from backend.roll_call.rules import Duty, Outcome, OutcomeMethod
from backend.staff_api.roll_calls import results, workbooks
from tests.support.province import counselor_account, registrar_account
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")
LISTS = ("results", "missing")


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, workbooks.router, results.router)
    yield client
    await client.http.aclose()


@pytest.fixture
async def roll_call_id(scenario: RollCallScenario) -> UUID:
    """A settled check of two schools, without any check-in."""
    launched = await scenario.launch(
        audience=Audience(unit_ids=(scenario.school.id, scenario.world.sister.id))
    )
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    return launched.roll_call.id


def read_rows(answer: Response) -> list[dict[str, Any]]:
    """The rows of the first sheet, by the Chinese part of the header."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, XLSX), answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    sheet = load_workbook(BytesIO(answer.content)).worksheets[0]
    headers, *rows = [tuple(each) for each in sheet.values]
    return [{str(name).split()[0]: value for name, value in zip(headers, row, strict=True)} for row in rows]


@pytest.mark.parametrize("name", LISTS)
async def test_workbook_has_the_students_of_the_list(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID, name: str
) -> None:
    rows = read_rows(await api.get(scenario.bureau, f"/v1/roll-calls/{roll_call_id}/{name}.xlsx"))
    listed = await api.every(scenario.bureau, f"/v1/roll-calls/{roll_call_id}/{name}")
    assert sorted(row["姓名"] for row in rows) == sorted(row["name"] for row in listed)
    assert {row["结果"] for row in rows} == {"未按时核验"}
    codes = {scenario.school.unit.code, scenario.world.sister.unit.code}
    assert {row["学校标识码"] for row in rows} == codes


@pytest.mark.parametrize("name", LISTS)
async def test_workbook_is_limited_to_the_scope_of_the_caller(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID, name: str
) -> None:
    path = f"/v1/roll-calls/{roll_call_id}/{name}.xlsx"
    klass = scenario.school.classes[0]
    own = read_rows(await api.get(counselor_account(scenario.school, klass), path))
    assert {row["班级"] for row in own} == {klass.name}
    assert len(own) == len(klass.students)
    school = read_rows(await api.get(scenario.registrar, path))
    assert {row["学校标识码"] for row in school} == {scenario.school.unit.code}
    of_sister = read_rows(await api.get(scenario.bureau, path, unit_id=str(scenario.world.sister.id)))
    assert {row["学校标识码"] for row in of_sister} == {scenario.world.sister.unit.code}
    for unit in (scenario.world.sister.id, new_id()):
        assert (await api.get(scenario.registrar, path, unit_id=str(unit))).status_code == 404
    stranger = registrar_account(scenario.world.direct)
    assert (await api.get(stranger, path)).status_code == 404


@pytest.mark.parametrize("name", LISTS)
async def test_export_is_on_record(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID, name: str
) -> None:
    registrar = scenario.registrar
    rows = read_rows(await api.get(registrar, f"/v1/roll-calls/{roll_call_id}/{name}.xlsx"))
    async with scenario.owner_transaction() as session:
        entries = await session.scalars(
            select(AuditEntry).where(
                AuditEntry.subject_id == str(roll_call_id), AuditEntry.action.like("%export%")
            )
        )
        recorded = [(each.action, each.acting_account, each.after) for each in entries]
    assert recorded == [(f"roll_call.{name}_exported", registrar.account_id, {"rows": len(rows)})]


async def test_a_name_that_looks_like_a_formula_is_text(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID
) -> None:
    pupil = scenario.school.students[0]
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, pupil.id)).name = "=1+1"
    for name in LISTS:
        answer = await api.get(scenario.bureau, f"/v1/roll-calls/{roll_call_id}/{name}.xlsx")
        sheet = load_workbook(BytesIO(answer.content)).worksheets[0]
        (cell,) = [each for row in sheet.iter_rows() for each in row if each.value == "=1+1"]
        assert cell.data_type == "s"


@pytest.mark.parametrize("name", LISTS)
async def test_too_many_rows_are_refused_and_leave_no_record(
    api: StaffClient,
    scenario: RollCallScenario,
    roll_call_id: UUID,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "MAX_ROWS", len(scenario.school.students))
    path = f"/v1/roll-calls/{roll_call_id}/{name}.xlsx"
    answer = await api.get(scenario.bureau, path)
    assert (answer.status_code, answer.json()["code"]) == (422, "export_too_large")
    assert len(read_rows(await api.get(scenario.bureau, path, unit_id=str(scenario.school.id)))) == 6
    async with scenario.owner_transaction() as session:
        recorded = await session.scalars(
            select(AuditEntry.after).where(
                AuditEntry.subject_id == str(roll_call_id), AuditEntry.action.like("%exported")
            )
        )
        assert list(recorded) == [{"rows": 6}]


@pytest.mark.parametrize("name", LISTS)
async def test_workbook_and_list_agree_under_every_filter(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID, name: str
) -> None:
    pupil = scenario.school.students[0]
    filters: tuple[dict[str, str], ...] = (
        {"q": pupil.name},
        {"q": pupil.name[0]},
        {"q": pupil.id_number},
        {"class_id": str(scenario.school.classes[0].id)},
        {"unit_id": str(scenario.world.sister.id)},
        {"unit_id": str(scenario.world.sister.id), "q": pupil.name},
        *([{"outcome": "missed"}, {"outcome": "excused"}] if name == "results" else []),
    )
    path = f"/v1/roll-calls/{roll_call_id}/{name}"
    for each in filters:
        rows = read_rows(await api.get(scenario.bureau, f"{path}.xlsx", **each))
        listed = await api.every(scenario.bureau, path, **each, limit=2)
        exported = [(row["姓名"], row["班级"]) for row in rows]
        assert sorted(exported) == sorted((row["name"], row["class_name"]) for row in listed), each
        if name == "results":
            assert {row["结果"] for row in rows} <= {"未按时核验"}
        total = (await api.get(scenario.bureau, path, **each, total=True, limit=1)).json()["total"]
        assert total == {"count": len(rows), "is_exact": True}, each


async def test_results_can_be_filtered(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID
) -> None:
    path, pupil = f"/v1/roll-calls/{roll_call_id}/results.xlsx", scenario.school.students[0]
    assert read_rows(await api.get(scenario.bureau, path, outcome="present")) == []
    found = read_rows(await api.get(scenario.bureau, path, q=pupil.id_number))
    assert [row["姓名"] for row in found] == [pupil.name]
    assert [row["是否计入次数"] for row in found] == [None]  # not assessed yet


def test_every_code_has_a_word() -> None:
    assert set(labels.DUTIES) == set(get_args(Duty))
    assert set(labels.OUTCOMES) == {each.value for each in Outcome}
    assert set(labels.METHODS) == set(get_args(OutcomeMethod))
