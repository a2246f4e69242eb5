"""The phone number of a student who has bound a phone: the school proposes it, the student or a superior decides."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from backend.core.tables import AuditEntry, OutboxEvent
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.events import deliver
from backend.identity.devices.registration_verification import verify_registration
from backend.identity.tables import DeviceKey, PhoneChange
from backend.notice.tables import Notice, NoticeDelivery, NoticeMessage
from backend.people.tables import Student
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import StaffUser, create_staff_user
from tests.support.province import PROVINCE_PATH, SampleStudent
from tests.support.roster import import_rows, roster_row

pytestmark = pytest.mark.clause("HN334-3.1")

OLD, NEW = "13800000000", "13912345678"


async def number_on_roll(scenario: IdentityScenario, student: SampleStudent) -> str | None:
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        return (await session.get_one(Student, student.id)).phone


async def propose_by_roster(scenario: IdentityScenario, student: SampleStudent, phone: str) -> Phone:
    """Bind the student's phone, then import a roster with another number; returns the bound phone."""
    bound = await scenario.bind_phone(student)
    await import_rows(scenario.app_context, scenario.school, [roster_row(student, phone=phone)])
    return bound


async def own_changes(phone: Phone) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = (await phone.get("/v1/me/phone-changes")).json()
    return changes


async def deliver_events(scenario: IdentityScenario, name: str) -> None:
    async with scenario.owner.transaction(Scope.none()) as session:
        of_school = OutboxEvent.payload["school_id"].astext == str(scenario.school.id)
        events = (
            await session.scalars(select(OutboxEvent.id).where(OutboxEvent.name == name, of_school))
        ).all()
    for event_id in events:
        await deliver(scenario.app_context, str(event_id))


async def notices(
    scenario: IdentityScenario, kind: str
) -> list[tuple[NoticeMessage, Notice, NoticeDelivery]]:
    query = (
        select(NoticeMessage, Notice, NoticeDelivery)
        .join(Notice, Notice.message_id == NoticeMessage.id)
        .join(NoticeDelivery, NoticeDelivery.notice_id == Notice.id)
        .where(NoticeMessage.kind == kind)
    )
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        rows = [(message, notice, delivery) for message, notice, delivery in await session.execute(query)]
    students = {student.id for student in scenario.school.students}
    return [row for row in rows if row[1].student_id in students]


async def test_a_rosters_number_takes_effect_when_the_student_confirms_it(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await propose_by_roster(scenario, student, NEW)
    assert await number_on_roll(scenario, student) == OLD
    (change,) = await own_changes(phone)
    assert (change["state"], change["old_phone"], change["new_phone"]) == (
        "open",
        "138******00",
        "139******78",
    )
    answer = await phone.post(f"/v1/me/phone-changes/{change['id']}/answer", json={"outcome": "confirmed"})
    assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
    assert await number_on_roll(scenario, student) == NEW
    again = await phone.post(f"/v1/me/phone-changes/{change['id']}/answer", json={"outcome": "refused"})
    assert (again.status_code, problem_code(again.text)) == (409, "phone_change_closed")


async def test_a_refused_number_is_not_proposed_again_by_a_roster(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await propose_by_roster(scenario, student, NEW)
    (change,) = await own_changes(phone)
    await phone.post(f"/v1/me/phone-changes/{change['id']}/answer", json={"outcome": "refused"})
    rows = [roster_row(student, phone=NEW, major="数控技术应用")]
    report = await import_rows(scenario.app_context, scenario.school, rows)
    assert report.phones_proposed == 0
    assert [finding.code for finding in report.findings] == ["phone_refused"]
    assert await number_on_roll(scenario, student) == OLD


async def test_the_old_number_is_warned_without_name_and_code(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await propose_by_roster(scenario, student, NEW)
    await deliver_events(scenario, "PhoneChangesProposed")
    rows = await notices(scenario, "phone_change_proposed")
    assert {delivery.channel: delivery.phone for _, _, delivery in rows} == {"in_app": None, "sms": OLD}
    message = rows[0][0]
    assert (message.sms_template, message.sms_params) == ("phone_change", {})
    told = f"{message.title_zh}{message.body_zh}{message.title_en}{message.body_en}"
    assert not [secret for secret in (student.name, OLD, NEW) if secret in told]


@pytest.mark.parametrize("kind", ["bureau", "province"])
async def test_a_superior_approves_for_a_student_without_a_phone(
    scenario: IdentityScenario, kind: Any
) -> None:
    student = scenario.school.students[0]
    phone = await propose_by_roster(scenario, student, NEW)
    unit = scenario.world.city if kind == "bureau" else scenario.world.province
    superior = await create_staff_user(scenario, kind, unit.id)
    listed = (await superior.get("/v1/phone-changes", state="open", school_id=str(scenario.school.id))).json()
    (change,) = listed["items"]
    assert (change["student_name"], change["new_phone"]) == (student.name, NEW)
    answer = await decide(superior, change["id"], "approved")
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    assert await number_on_roll(scenario, student) == NEW
    assert [each["state"] for each in await own_changes(phone)] == ["approved"]


async def decide(person: StaffUser, change_id: str, outcome: str) -> Any:
    body = {"outcome": outcome, "reasons": "已致电并当面核实"}
    return await person.post(f"/v1/phone-changes/{change_id}/decision", body)


async def test_the_school_withdraws_and_never_approves(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await propose_by_roster(scenario, student, NEW)
    (change,) = await own_changes(phone)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    for outcome in ("approved", "refused"):
        refused = await decide(registrar, change["id"], outcome)
        assert (refused.status_code, problem_code(refused.text)) == (403, "not_permitted")
    superior = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    assert (await decide(superior, change["id"], "withdrawn")).status_code == 403
    assert (await decide(registrar, change["id"], "withdrawn")).json()["state"] == "withdrawn"
    assert await number_on_roll(scenario, student) == OLD


async def test_a_superior_of_other_schools_and_another_student_find_nothing(
    scenario: IdentityScenario,
) -> None:
    student, other = scenario.school.students[:2]
    phone = await propose_by_roster(scenario, student, NEW)
    (change,) = await own_changes(phone)
    stranger = await create_staff_user(scenario, "bureau", scenario.world.other_city.id)
    assert (await decide(stranger, change["id"], "approved")).status_code == 404
    others = await scenario.bind_phone(other)
    answer = await others.post(f"/v1/me/phone-changes/{change['id']}/answer", json={"outcome": "confirmed"})
    assert answer.status_code == 404
    assert await own_changes(others) == []


async def test_a_newly_bound_phone_cannot_confirm_during_its_cool_down(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.bind_phone(student)
    new = await propose_by_roster(scenario, student, NEW)
    (change,) = await own_changes(new)
    path = f"/v1/me/phone-changes/{change['id']}/answer"
    refused = await new.post(path, json={"outcome": "confirmed"})
    assert (refused.status_code, problem_code(refused.text)) == (409, "phone_change_in_cool_down")
    assert await number_on_roll(scenario, student) == OLD
    assert (await new.post(path, json={"outcome": "refused"})).json()["state"] == "refused"


async def test_a_registrar_proposes_a_refused_number_with_reasons(scenario: IdentityScenario) -> None:
    student, never_bound = scenario.school.students[:2]
    phone = await propose_by_roster(scenario, student, NEW)
    (change,) = await own_changes(phone)
    await phone.post(f"/v1/me/phone-changes/{change['id']}/answer", json={"outcome": "refused"})
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    body = {"student_id": str(student.id), "phone": NEW, "reasons": "手机被盗，监护人到校核实"}
    proposed = await registrar.post("/v1/phone-changes", body)
    assert (proposed.status_code, proposed.json()["state"]) == (201, "open")
    same = await registrar.post("/v1/phone-changes", body | {"phone": OLD})
    assert (same.status_code, problem_code(same.text)) == (409, "phone_unchanged")
    unbound = await registrar.post("/v1/phone-changes", body | {"student_id": str(never_bound.id)})
    assert (unbound.status_code, problem_code(unbound.text)) == (409, "phone_not_bound")


async def test_a_later_number_replaces_the_open_one(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await propose_by_roster(scenario, student, NEW)
    await import_rows(scenario.app_context, scenario.school, [roster_row(student, phone="13700000001")])
    assert [(each["state"], each["new_phone"]) for each in await own_changes(phone)] == [
        ("open", "137******01"),
        ("replaced", "139******78"),
    ]


async def test_database_refuses_the_proposer_as_approver(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await propose_by_roster(scenario, student, NEW)
    statement = (
        update(PhoneChange)
        .where(PhoneChange.student_id == student.id)
        .values(state="approved", decided_by=PhoneChange.proposed_by, decided_at=PhoneChange.proposed_at)
    )
    with pytest.raises(IntegrityError, match="second_person"):
        async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            await session.execute(statement)


async def test_an_accepted_correction_warns_the_old_number_and_ends_the_proposal(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    phone = await propose_by_roster(scenario, student, NEW)
    claim = {"result": "wrong", "field": "phone", "claimed": "13600000002", "note": "换号"}
    check = (await phone.post("/v1/me/record/checks", json=claim)).json()
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    await registrar.post(f"/v1/record-corrections/{check['id']}/decision", {"decision": "accepted"})
    assert await number_on_roll(scenario, student) == "13600000002"
    assert [each["state"] for each in await own_changes(phone)] == ["replaced"]
    ((message, _, delivery),) = await notices(scenario, "phone_replaced")
    assert (message.sms_template, delivery.phone) == ("phone_change", OLD)


async def test_every_step_is_in_the_audit_with_masked_numbers(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await propose_by_roster(scenario, student, NEW)
    (change,) = await own_changes(phone)
    await phone.post(f"/v1/me/phone-changes/{change['id']}/answer", json={"outcome": "confirmed"})
    async with scenario.owner.transaction(Scope.none()) as session:
        entries = (
            await session.scalars(
                select(AuditEntry)
                .where(AuditEntry.subject_id == str(student.id), AuditEntry.action.startswith("phone."))
                .order_by(AuditEntry.id)
            )
        ).all()
    numbers = {"phone": "138******00"}, {"phone": "139******78"}
    assert [(entry.action, entry.before, entry.after) for entry in entries] == [
        ("phone.proposed", *numbers),
        (
            "phone.proposal_closed",
            {"state": "open"},
            {"state": "confirmed", "change_id": change["id"]},
        ),
        ("phone.changed", *numbers),
    ]
    (me,) = {(await phone.get("/v1/me")).json()["account_id"]}
    assert entries[-1].acting_account == UUID(me)


async def test_superior_and_school_are_told(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    superior = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    phone = await propose_by_roster(scenario, student, NEW)
    (change,) = await own_changes(phone)
    await phone.post(f"/v1/me/phone-changes/{change['id']}/answer", json={"outcome": "confirmed"})
    for event in ("PhoneChangesProposed", "PhoneChangeDecided"):
        await deliver_events(scenario, event)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        told = await session.execute(
            select(Notice.account_id, NoticeMessage.kind)
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(Notice.account_id.in_([superior.account_id, registrar.account_id]))
        )
        assert {tuple(row) for row in told} == {
            (superior.account_id, "phone_changes_proposed"),
            (registrar.account_id, "phone_change_confirmed"),
        }


async def test_no_code_goes_to_a_proposed_number_even_after_a_revocation(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.bind_phone(student)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await session.execute(
            update(DeviceKey).where(DeviceKey.student_id == student.id).values(status="revoked")
        )
    await import_rows(scenario.app_context, scenario.school, [roster_row(student, phone=NEW)])
    registration_id = await scenario.phone().register(student.name, student.id_number)
    await verify_registration(scenario.app_context, UUID(registration_id))
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        sent_to = await session.scalars(
            select(NoticeDelivery.phone).where(
                NoticeDelivery.student_id == student.id, NoticeDelivery.channel == "sms"
            )
        )
        assert NEW not in set(sent_to)
