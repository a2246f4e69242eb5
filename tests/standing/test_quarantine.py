"""Quarantined enrolments: both schools and their superiors see them, the unit above both schools decides."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tables import AuditEntry, OutboxEvent
from backend.core.tenancy import Scope
from backend.events import deliver
from backend.exchange.roster.importer import ImportReport
from backend.notice.tables import Notice, NoticeMessage
from backend.people.tables import QuarantinedEnrolment, Student
from backend.staff_api.standing.quarantine import router
from tests.support.identity.scenario import IdentityScenario, identity_scenario
from tests.support.identity.staff_user import create_staff_user
from tests.support.province import (
    PROVINCE_PATH,
    SampleProvince,
    SampleSchool,
    SampleStudent,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)
from tests.support.roster import import_rows, roster_row
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("MOE19-2.4", "R23")

PATH = "/v1/quarantined-enrolments"


@dataclass(slots=True)
class QuarantineScenario:
    """A student of one school (`holder`) in the roster of another one."""

    app_context: AppContext
    owner: Database
    world: SampleProvince
    api: StaffClient
    holder: SampleSchool

    @property
    def student(self) -> SampleStudent:
        return self.holder.students[0]

    async def import_student(self, **changes: Any) -> ImportReport:
        row = roster_row(self.student, student_number=None, **changes)
        return await import_rows(self.app_context, self.world.school, [row])

    async def only_row(self, actor: Actor) -> dict[str, Any]:
        (item,) = await self.api.every(actor, PATH, school_id=str(self.world.school.id))
        return item

    async def decide(self, actor: Actor, outcome: str) -> Any:
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            quarantine_id = await session.scalar(
                select(QuarantinedEnrolment.id)
                .where(QuarantinedEnrolment.school_id == self.world.school.id)
                .order_by(QuarantinedEnrolment.id.desc())
                .limit(1)
            )
        body = {"outcome": outcome, "reasons": "已向两校和学生本人核实"}
        return await self.api.post(actor, f"{PATH}/{quarantine_id}/decision", body)


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[QuarantineScenario]:
    world = await create_sample_province(owner, app_context.keys, classes=1, students=1)
    api = staff_client(app_context, router)
    yield QuarantineScenario(app_context, owner, world, api, world.sister)
    await api.http.aclose()


async def test_both_schools_and_their_superiors_see_the_row(scenario: QuarantineScenario) -> None:
    world = scenario.world
    scenario.holder = world.direct
    await scenario.import_student(name="花名册姓名")
    importing, holding = registrar_account(world.school), registrar_account(world.direct)
    seen = {
        name: await scenario.only_row(actor)
        for name, actor in {
            "importing": importing,
            "holding": holding,
            "city": bureau_account(world.city),
            "province": province_account(world.province),
        }.items()
    }
    names = {who: (row["name_in_file"], row["name_on_roll"]) for who, row in seen.items()}
    assert names == {
        "importing": ("花名册姓名", None),
        "holding": (None, scenario.student.name),
        "city": ("花名册姓名", None),
        "province": ("花名册姓名", scenario.student.name),
    }
    assert seen["city"]["deciding_unit"]["name"] == world.province.name
    assert seen["holding"]["id_number_masked"].count("*") == 13


async def test_other_schools_and_counselors_see_nothing(scenario: QuarantineScenario) -> None:
    await scenario.import_student()
    world = scenario.world
    for stranger in (registrar_account(world.direct), bureau_account(world.other_city)):
        assert (await scenario.api.get(stranger, PATH)).json()["items"] == []
        assert (await scenario.decide(stranger, "error")).status_code == 404
    counselor = counselor_account(world.school, world.school.classes[0])
    assert (await scenario.api.get(counselor, PATH)).status_code == 403


@pytest.mark.parametrize("outcome", ["different_person", "error"])
async def test_the_unit_above_both_schools_decides_once(scenario: QuarantineScenario, outcome: str) -> None:
    await scenario.import_student()
    city = bureau_account(scenario.world.city)
    answer = await scenario.decide(city, outcome)
    assert (answer.status_code, answer.json()["state"]) == (200, outcome)
    again = await scenario.decide(city, "error")
    assert (again.status_code, again.json()["code"]) == (409, "quarantine_closed")
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        row = await session.get_one(QuarantinedEnrolment, UUID(answer.json()["id"]))
        entries = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == str(row.id)).order_by(AuditEntry.id)
        )
        assert list(entries) == ["enrolment.quarantined", "enrolment.decided"]
    assert (row.row_data, row.id_number_sealed, row.decided_by) == ({}, None, city.account_id)


async def test_neither_school_and_no_superior_of_one_school_decides(scenario: QuarantineScenario) -> None:
    world = scenario.world
    scenario.holder = world.direct
    await scenario.import_student()
    for registrar in (registrar_account(world.school), registrar_account(world.direct)):
        refused = await scenario.decide(registrar, "error")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    refused = await scenario.decide(bureau_account(world.city), "error")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_over_both_schools")
    assert world.province.name in refused.json()["detail"]
    assert (await scenario.decide(province_account(world.province), "error")).status_code == 200


async def test_only_the_importing_school_withdraws(scenario: QuarantineScenario) -> None:
    await scenario.import_student()
    assert (await scenario.decide(registrar_account(scenario.holder), "withdrawn")).status_code == 403
    assert (await scenario.decide(bureau_account(scenario.world.city), "withdrawn")).status_code == 403
    answer = await scenario.decide(registrar_account(scenario.world.school), "withdrawn")
    assert answer.json()["state"] == "withdrawn"


async def test_a_refused_row_is_quarantined_again_only_if_it_changed(scenario: QuarantineScenario) -> None:
    await scenario.import_student()
    await scenario.decide(bureau_account(scenario.world.city), "error")
    same = await scenario.import_student()
    assert (same.quarantined, same.refused, [each.code for each in same.findings]) == (
        0,
        1,
        ["enrolment_refused"],
    )
    changed = await scenario.import_student(name="更正姓名")
    assert (changed.quarantined, changed.refused) == (1, 0)


async def test_quarantined_rows_count_in_no_total(scenario: QuarantineScenario) -> None:
    await scenario.import_student()
    async with scenario.app_context.database.transaction(Scope.wide(PROVINCE_PATH)) as session:
        students = await session.scalars(
            select(Student.id).where(Student.school_id.in_([scenario.world.school.id, scenario.holder.id]))
        )
        assert len(students.all()) == 2


async def test_both_schools_and_superiors_are_told(app_context: AppContext, owner: Database) -> None:
    async with identity_scenario(app_context, owner) as identity:
        people = await _create_people(identity)
        world = identity.world
        row = roster_row(world.sister.students[0], student_number=None)
        await import_rows(app_context, world.school, [row])
        await _deliver(identity, "EnrolmentsQuarantined")
        assert await _told(identity, people) == {
            "importing": "enrolments_quarantined",
            "holding": "enrolments_quarantined",
            "city": "enrolments_quarantined_superior",
        }


async def _create_people(identity: IdentityScenario) -> dict[str, UUID]:
    world = identity.world
    return {
        "importing": (await create_staff_user(identity, "registrar", world.school.id)).account_id,
        "holding": (await create_staff_user(identity, "registrar", world.sister.id)).account_id,
        "city": (await create_staff_user(identity, "bureau", world.city.id)).account_id,
    }


async def _deliver(identity: IdentityScenario, name: str) -> None:
    async with identity.owner.transaction(Scope.none()) as session:
        of_school = OutboxEvent.payload["school_id"].astext == str(identity.school.id)
        events = await session.scalars(select(OutboxEvent.id).where(OutboxEvent.name == name, of_school))
        ids = events.all()
    for event_id in ids:
        await deliver(identity.app_context, str(event_id))


async def _told(identity: IdentityScenario, people: dict[str, UUID]) -> dict[str, str]:
    names = {account: name for name, account in people.items()}
    query = (
        select(Notice.account_id, NoticeMessage.kind)
        .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
        .where(Notice.account_id.in_(names))
    )
    async with identity.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        return {names[account]: kind for account, kind in await session.execute(query) if account}
