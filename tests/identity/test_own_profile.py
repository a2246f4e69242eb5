"""What a student's app reads at its start: school, class, counselor, activation, capabilities and limits."""

import pytest
from sqlalchemy import update

from backend.core.tenancy import Scope
from backend.people.tables import Student
from tests.support.identity.scenario import IdentityScenario
from tests.support.identity.staff_user import create_staff_user
from tests.support.province import PROVINCE_PATH


async def test_student_sees_school_class_and_counselor(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    before = (await phone.get("/v1/me")).json()
    assert (before["school_id"], before["class_id"]) == (str(scenario.school.id), str(student.class_id))
    assert before["school_name"]
    assert before["class_name"]
    assert before["counselor"]["id"] != before["student_id"]
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    own = (await counselor.get("/v1/me")).json()
    path = f"/v1/counselors/{own['counselor_id']}/classes"
    assert (await registrar.post(path, {"class_ids": [str(student.class_id)]})).is_success
    told = (await phone.get("/v1/me")).json()["counselor"]
    assert (told["id"], told["name"]) == (own["counselor_id"], own["display_name"])
    assert set(told) == {"id", "name", "phone"}


async def test_capabilities_follow_the_activation(scenario: IdentityScenario) -> None:
    student = scenario.school.students[1]
    phone = await scenario.bind_phone(student)
    me = (await phone.get("/v1/me")).json()
    assert me["capabilities"] == {
        "may_check_in": False,
        "is_verified": True,
        "has_device": True,
        "has_face": False,
        "has_guardian": False,
        "needs_guardian": False,
    }
    assert "face" in me["open"]
    assert me["limits"]["face_pictures_min"] <= me["limits"]["face_pictures_max"]
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await session.execute(update(Student).where(Student.id == student.id).values(study_form="part_time"))
    assert (await phone.get("/v1/me")).json()["capabilities"]["is_verified"] is False


@pytest.mark.parametrize("name", ["account_id", "server_time", "cool_down_until", "verification_route"])
async def test_profile_keeps_its_earlier_fields(scenario: IdentityScenario, name: str) -> None:
    phone = await scenario.bind_phone(scenario.school.students[2])
    assert name in (await phone.get("/v1/me")).json()
