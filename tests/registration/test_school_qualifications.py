"""Licences, inspections and measures: recorded by a superior, refused by order and date, felt by the roster."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day, now
from backend.core.database import Database
from backend.core.tables import AuditEntry, OutboxEvent
from backend.core.tenancy import Scope
from backend.events import deliver
from backend.notice.tables import Notice, NoticeMessage
from backend.staff_api.registration.school_qualifications import router
from tests.registration.test_registrations import new_row
from tests.support.identity.scenario import identity_scenario
from tests.support.identity.staff_user import create_staff_user
from tests.support.province import (
    PROVINCE_PATH,
    SampleProvince,
    bureau_account,
    create_sample_province,
    province_account,
    registrar_account,
)
from tests.support.roster import import_rows
from tests.support.staff_client import StaffClient, staff_client

YESTERDAY = (legal_day(now()) - timedelta(days=1)).isoformat()
TODAY = legal_day(now()).isoformat()
LICENCE = {
    "number": "教民141010060000018号",
    "issued_by": "郑州市教育局",
    "covers": "中等职业学历教育",
    "valid_from": "2024-01-01",
    "valid_until": "2099-12-31",
}
FAILED = {
    "year": legal_day(now()).year,
    "conclusion": "failed",
    "findings": "生均教学设备值不足",
    "inspected_on": "2026-01-15",
    "mend_by": YESTERDAY,
}


@dataclass(slots=True)
class Scenario:
    """A school and its superiors."""

    app_context: AppContext
    owner: Database
    world: SampleProvince
    api: StaffClient
    city: Actor

    async def post(
        self, what: str, body: dict[str, Any], status: int = 201, actor: Actor | None = None
    ) -> Any:
        path = f"/v1/schools/{self.world.school.id}/{what}" if "/" not in what else f"/v1/{what}"
        answer = await self.api.post(actor or self.city, path, body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def measure(self, kind: str, status: int = 201, **changes: Any) -> Any:
        body = {"kind": kind, "reasons": "年检不合格，逾期未整改", **changes}
        return await self.post("measures", body, status)

    async def only_row(self, actor: Actor, **params: Any) -> dict[str, Any] | None:
        rows = await self.api.every(actor, "/v1/school-qualifications", **params)
        return next((row for row in rows if row["school_id"] == str(self.world.school.id)), None)


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[Scenario]:
    world = await create_sample_province(owner, app_context.keys, classes=1, students=1)
    api = staff_client(app_context, router)
    yield Scenario(app_context, owner, world, api, bureau_account(world.city))
    await api.http.aclose()


@pytest.mark.clause("MOE19-1.2")
async def test_a_suspended_school_registers_no_new_student_until_the_measure_is_lifted(
    scenario: Scenario,
) -> None:
    file = await scenario.post("inspections", FAILED)
    assert (file["conclusion"], file["next_measure"], file["refusal"]) == ("failed", "plan_cut", None)
    await scenario.measure("registration_suspended", 409)
    await scenario.measure("plan_cut", plan_percent=30, mend_by=YESTERDAY)
    file = await scenario.measure("registration_suspended")
    assert (file["measure"], file["refusal"]) == ("registration_suspended", "registration_suspended")

    row, in_season = new_row(entry_month="2099-09"), datetime(2099, 9, 10, 12, tzinfo=LEGAL_ZONE)
    report = await import_rows(scenario.app_context, scenario.world.school, [row], in_season)
    assert (report.created, report.not_registered) == (0, 1)
    assert "registration_suspended" in {each.code for each in report.findings}

    refused = await scenario.measure("lifted", 409)
    assert refused["code"] == "school_measure_refused"
    inspection = file["inspections"][-1]["id"]
    step = {"kind": "mended", "day": TODAY, "note": "设备已购置，复查合格"}
    await scenario.post(f"inspections/{inspection}/steps", step)
    await scenario.post(f"inspections/{inspection}/steps", step, 409)
    file = await scenario.measure("lifted")
    assert (file["measure"], file["refusal"]) == (None, None)
    assert [each["kind"] for each in file["measures"]] == ["plan_cut", "registration_suspended", "lifted"]


@pytest.mark.clause("MOE19-1.2")
async def test_the_school_is_told_and_every_step_is_audited(
    app_context: AppContext, owner: Database, scenario: Scenario
) -> None:
    async with identity_scenario(app_context, owner) as identity:
        school, city = identity.world.school, bureau_account(identity.world.city)
        registrar = await create_staff_user(identity, "registrar", school.id)
        body = {"kind": "intake_stopped", "ground": "unlicensed", "reasons": "校外办学点未经批准"}
        answer = await scenario.api.post(city, f"/v1/schools/{school.id}/measures", body)
        assert answer.status_code == 201, answer.text
        of_school = OutboxEvent.payload["school_id"].astext == str(school.id)
        taken = select(OutboxEvent.id).where(OutboxEvent.name == "SchoolMeasureTaken", of_school)
        audited = select(AuditEntry).where(
            AuditEntry.action == "school.measure.taken", AuditEntry.org_path == school.path
        )
        told = (
            select(NoticeMessage.kind)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .where(Notice.account_id == registrar.account_id)
        )
        async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            event_id, entry = await session.scalar(taken), (await session.scalars(audited)).one()
        assert entry.acting_account == city.account_id
        await deliver(app_context, str(event_id))
        async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            assert (await session.scalars(told)).all() == ["school_measure"]


@pytest.mark.clause("MOE19-1.2", "HN334-2.3")
async def test_only_superiors_record_and_each_sees_its_own_schools(scenario: Scenario) -> None:
    registrar = registrar_account(scenario.world.school)
    stranger = bureau_account(scenario.world.other_city)
    await scenario.post("licences", LICENCE, 403, registrar)
    await scenario.post("licences", LICENCE, 404, stranger)
    file = await scenario.post("licences", LICENCE, 201, province_account(scenario.world.province))
    assert file["licence_until"] == LICENCE["valid_until"]
    own = await scenario.only_row(registrar)
    assert own is not None
    assert own["licence_until"] == LICENCE["valid_until"]
    assert await scenario.only_row(stranger) is None
    path = f"/v1/schools/{scenario.world.school.id}/qualification"
    assert (await scenario.api.get(stranger, path)).status_code == 404


@pytest.mark.clause("XZ69-2.1")
async def test_a_revoked_licence_is_in_force_no_longer(scenario: Scenario) -> None:
    file = await scenario.post("licences", LICENCE)
    licence = file["licences"][0]["id"]
    body = {"revoked_on": TODAY, "reasons": "未经批准设立校外办学点"}
    file = await scenario.post(f"licences/{licence}/revocation", body)
    assert (file["licence_until"], file["licences"][0]["revoked_on"]) == (None, TODAY)
    await scenario.post(f"licences/{licence}/revocation", body, 409)


@pytest.mark.clause("MOE19-1.2b")
async def test_inspections_of_a_year_are_found_by_their_conclusion(scenario: Scenario) -> None:
    params = {"year": FAILED["year"]}
    assert await scenario.only_row(scenario.city, inspection="missing", **params) is not None
    await scenario.post("inspections", FAILED)
    passed = {key: value for key, value in FAILED.items() if key != "mend_by"} | {"conclusion": "passed"}
    file = await scenario.post("inspections", passed)
    step = {"kind": "published", "day": "2026-02-10", "note": "市教育局网站"}
    await scenario.post(f"inspections/{file['inspections'][-1]['id']}/steps", step)
    assert await scenario.only_row(scenario.city, inspection="missing", **params) is None
    assert await scenario.only_row(scenario.city, inspection="failed", **params) is None
    row = await scenario.only_row(scenario.city, inspection="passed", **params)
    assert row is not None
    assert (row["published_on"], row["due_on"], row["is_overdue"]) == ("2026-02-10", None, False)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("licences", LICENCE | {"valid_until": "2023-12-31"}),
        ("inspections", FAILED | {"mend_by": None}),
        ("inspections", FAILED | {"conclusion": "passed"}),
        ("measures", {"kind": "plan_cut", "reasons": "逾期未整改"}),
        ("measures", {"kind": "intake_stopped", "reasons": "逾期未整改", "plan_percent": 20}),
    ],
)
async def test_fields_that_contradict_are_refused(
    scenario: Scenario, what: str, body: dict[str, Any]
) -> None:
    answer = await scenario.post(what, body, 422)
    assert answer["errors"][0]["message_zh"]
