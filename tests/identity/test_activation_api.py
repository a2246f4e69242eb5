"""Staff endpoints for activation: classes of counselors, readiness, corrections of the record (HN334-3.1, 3.2)."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.people.tables import ClassCounselor, Student
from tests.support.database_contents import columns_holding
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import StaffUser, create_staff_user
from tests.support.province import PROVINCE_PATH, SampleStudent, synthetic_id_number


async def counselor_id(counselor: StaffUser) -> str:
    identifier: str = (await counselor.get("/v1/me")).json()["counselor_id"]
    return identifier


async def own_readiness(person: StaffUser) -> dict[str, Any]:
    (row,) = (await person.get("/v1/readiness")).json()["items"]
    readiness: dict[str, Any] = row
    return readiness


async def request_correction(
    scenario: IdentityScenario, student: SampleStudent, field: str, claimed: str
) -> str:
    phone = await scenario.bind_phone(student)
    body = {"result": "wrong", "field": field, "claimed": claimed, "note": "身份证为准"}
    check_id: str = (await phone.post("/v1/me/record/checks", json=body)).json()["id"]
    return check_id


async def decide(person: StaffUser, check_id: str, decision: str = "accepted") -> Any:
    return await person.post(f"/v1/record-corrections/{check_id}/decision", {"decision": decision})


@pytest.mark.clause("HN334-3.2")
async def test_a_school_is_ready_once_each_student_has_an_active_counselor(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    before = await own_readiness(registrar)
    assert (before["ready"], before["full_time"], before["without_counselor"]) == (False, 4, 4)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    path = f"/v1/counselors/{await counselor_id(counselor)}/classes"
    first, second = [str(each.id) for each in scenario.school.classes]
    assert (await registrar.post(path, {"class_ids": [first]})).status_code == 204
    assert (await own_readiness(registrar))["without_counselor"] == 2
    assert (await registrar.post(path, {"class_ids": [first, second]})).status_code == 204
    assert (await own_readiness(registrar))["ready"] is True
    await registrar.post(f"/v1/accounts/{counselor.account_id}/disable", {"reason": "离职"})
    assert (await own_readiness(registrar))["ready"] is False


@pytest.mark.clause("HN334-3.2")
async def test_superiors_see_which_of_their_schools_are_not_ready(scenario: IdentityScenario) -> None:
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    other = await create_staff_user(scenario, "bureau", scenario.world.other_city.id)
    await scenario.bind_phone(scenario.school.students[0])
    by_school: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        page = (await bureau.get("/v1/readiness", limit=50, **cursor)).json()
        by_school |= {item["school_id"]: item for item in page["items"]}
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert {str(scenario.school.id), str(scenario.world.sister.id)} <= set(by_school)
    assert str(scenario.world.direct.id) not in by_school
    assert (
        by_school[str(scenario.school.id)]["with_phone"],
        by_school[str(scenario.school.id)]["activated"],
    ) == (1, 0)
    assert (await other.get("/v1/readiness")).json()["items"] == []


@pytest.mark.clause("HN334-3.2")
async def test_a_reassigned_class_keeps_the_record_of_its_earlier_counselor(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    group = scenario.school.classes[0]
    path = f"/v1/counselors/{await counselor_id(counselor)}/classes"
    answers = await asyncio.gather(*(registrar.post(path, {"class_ids": [str(group.id)]}) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {204}
    query = select(ClassCounselor).where(ClassCounselor.class_id == group.id).order_by(ClassCounselor.since)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        earlier, current = (await session.scalars(query)).all()
    assert (earlier.counselor_id, earlier.until is None) == (group.counselor_id, False)
    assert (str(current.counselor_id), current.until) == (await counselor_id(counselor), None)


@pytest.mark.clause("HN334-3.2")
async def test_classes_and_counselors_of_another_school_are_not_found(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    theirs = scenario.world.sister.classes[0]
    own = f"/v1/counselors/{await counselor_id(counselor)}/classes"
    assert (await registrar.post(own, {"class_ids": [str(theirs.id)]})).status_code == 404
    foreign = f"/v1/counselors/{theirs.counselor_id}/classes"
    assert (
        await registrar.post(foreign, {"class_ids": [str(scenario.school.classes[0].id)]})
    ).status_code == 404
    assert (await counselor.post(own, {"class_ids": [str(scenario.school.classes[0].id)]})).status_code == 403


@pytest.mark.clause("HN334-3.1")
async def test_an_accepted_phone_number_is_stored_and_the_student_notified(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    check_id = await request_correction(scenario, student, "phone", "13912345678")
    (listed,) = (await registrar.get("/v1/record-corrections")).json()["items"]
    assert (listed["id"], listed["student_name"], listed["field"]) == (check_id, student.name, "phone")
    assert (await decide(registrar, check_id)).json()["status"] == "accepted"
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        assert (await session.get_one(Student, student.id)).phone == "13912345678"
    assert (await registrar.get("/v1/record-corrections")).json()["items"] == []
    assert problem_code((await decide(registrar, check_id)).text) == "conflict"


@pytest.mark.clause("HN334-3.1")
async def test_a_legal_correction_is_accepted_only_once_it_is_on_the_roster(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    check_id = await request_correction(scenario, student, "name", "学生改名")
    refused = await decide(registrar, check_id)
    assert (refused.status_code, problem_code(refused.text)) == (409, "correction_needs_change")
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        assert (await session.get_one(Student, student.id)).name == student.name
        await session.execute(update(Student).where(Student.id == student.id).values(name="学生改名"))
    assert (await decide(registrar, check_id)).json()["status"] == "accepted"


@pytest.mark.clause("HN334-3.1")
@pytest.mark.parametrize("field", ["id_number", "student_number"])
async def test_a_claimed_number_is_shown_to_the_registrar_and_stored_encrypted(
    scenario: IdentityScenario, field: str
) -> None:
    student = scenario.school.students[0]
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    claimed = synthetic_id_number(new_id().int % 10**6)
    claimed = f"G{claimed}" if field == "student_number" else claimed
    check_id = await request_correction(scenario, student, field, claimed)
    (listed,) = (await registrar.get("/v1/record-corrections")).json()["items"]
    assert (listed["id"], listed["field"], listed["claimed"]) == (check_id, field, claimed)
    refused = await decide(registrar, check_id)
    assert (refused.status_code, problem_code(refused.text)) == (409, "correction_needs_change")
    assert claimed not in refused.text
    assert await columns_holding(scenario.owner, {claimed, student.id_number}) == set()
    assert "record_check.note" in await columns_holding(scenario.owner, {"身份证为准"})
    as_on_the_roll = await request_correction(scenario, student, field, getattr(student, field))
    assert (await decide(registrar, as_on_the_roll)).json()["status"] == "accepted"


@pytest.mark.clause("HN334-3.1")
async def test_only_the_own_registrar_decides_on_a_correction(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    check_id = await request_correction(scenario, student, "id_number", "11010519491231002X")
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    for stranger in (
        await create_staff_user(scenario, "registrar", scenario.world.sister.id),
        await create_staff_user(scenario, "bureau", scenario.world.other_city.id),
        counselor,
    ):
        assert (await decide(stranger, check_id)).status_code == 404
        assert (await stranger.get("/v1/record-corrections")).json()["items"] == []
    assert (
        await decide(await create_staff_user(scenario, "bureau", scenario.world.city.id), check_id)
    ).status_code == 403
    assert (await decide(registrar, str(new_id()))).status_code == 404
    assert (await decide(registrar, check_id, "declined")).json()["status"] == "declined"


@pytest.mark.clause("HN334-2.3")
async def test_a_counselor_sees_the_activation_of_the_own_classes_only(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    mine, other = scenario.school.classes
    await registrar.post(
        f"/v1/counselors/{await counselor_id(counselor)}/classes", {"class_ids": [str(mine.id)]}
    )
    assert (await counselor.get(f"/v1/students/{mine.students[0].id}/activation")).status_code == 200
    assert (await counselor.get(f"/v1/students/{other.students[0].id}/activation")).status_code == 404
    assert UUID((await own_readiness(counselor))["school_id"]) == scenario.school.id
    assert (await own_readiness(counselor))["full_time"] == len(mine.students)
    revocation = f"/v1/students/{other.students[0].id}/device/revocation"
    assert (await counselor.post(revocation, {"reason": "越权"})).status_code == 404
