"""A change of phone: the second check, the old phone's objection, and the cool-down (HN334-3.1)."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.core.ids import new_id
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity.devices.rebinding_judgement import RebindingRef, judge_rebinding_face
from backend.identity.devices.tables import RebindingObjection
from backend.identity.face.pool import face_pool
from tests.identity.test_activation import PoolInProcess, consent, judge_newest, shots
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import StaffUser, create_staff_user
from tests.support.pictures import read_picture
from tests.support.province import PROVINCE_PATH, SampleStudent

pytestmark = pytest.mark.clause("HN334-3.1")


@pytest.fixture(autouse=True)
def pool(scenario: IdentityScenario) -> PoolInProcess:
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


async def enrolled_phone(scenario: IdentityScenario, student: SampleStudent) -> Phone:
    phone = await scenario.bind_phone(student)
    await consent(phone)
    assert (await phone.enrol_face(shots(7))).status_code == 202
    assert (await judge_newest(scenario, student)).status == "accepted"
    return phone


async def send_face(
    scenario: IdentityScenario, phone: Phone, registration_id: str, student: SampleStudent, person: int
) -> str:
    """Send pictures of a person and compare them; returns the state of the comparison."""
    path = f"/v1/registrations/{registration_id}"
    files = [("shots", (f"{number}.jpg", shot, "image/jpeg")) for number, shot in enumerate(shots(person, 2))]
    answer = await phone.prove("POST", path + "/face", files=files)
    if answer.is_error:
        return problem_code(answer.text)
    ref = RebindingRef(UUID(registration_id), student.school_id, student.id)
    await judge_rebinding_face(scenario.app_context, ref)
    state: str = (await phone.prove("GET", path)).json()["face"]
    with pytest.raises(FileNotFoundError):
        await read_picture(scenario.app_context, ref.shot(0))
    return state


async def test_the_code_alone_does_not_replace_a_phone(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    old = await enrolled_phone(scenario, student)
    new = scenario.phone()
    requested = await scenario.request_code(new, student)
    answer = await new.confirm(*requested)
    assert (answer.status_code, problem_code(answer.text)) == (409, "rebinding_check_needed")
    assert answer.json()["checks"] == ["face", "in_person"]
    assert (await old.get("/v1/me")).status_code == 200
    state = (await new.prove("GET", f"/v1/registrations/{requested[0]}")).json()
    assert (state["state"], state["face"]) == ("check_needed", None)
    await new.confirm(*requested)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        told = select(func.count()).where(
            OutboxEvent.name == "RebindingRequested",
            OutboxEvent.payload["student_id"].astext == str(student.id),
        )
        assert await session.scalar(told) == 1, "the present phone is told once"


async def test_the_own_face_completes_the_change_of_phone(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    old = await enrolled_phone(scenario, student)
    new = scenario.phone()
    requested = await scenario.request_code(new, student)
    await new.confirm(*requested)
    assert await send_face(scenario, new, requested[0], student, person=7) == "matched"
    assert (await new.confirm(*requested)).status_code == 200
    assert problem_code((await old.get("/v1/me")).text) == "phone_replaced"
    assert (await new.get("/v1/me")).json()["cool_down_until"] is not None


async def test_another_face_does_not_complete_it_and_tries_are_limited(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await enrolled_phone(scenario, student)
    new = scenario.phone()
    requested = await scenario.request_code(new, student)
    assert await send_face(scenario, new, requested[0], student, person=9) == "not_found", "before the code"
    await new.confirm(*requested)
    states = [await send_face(scenario, new, requested[0], student, person=9) for _ in range(6)]
    assert states == ["refused"] * 5 + ["too_many_attempts"]
    assert problem_code((await new.confirm(*requested)).text) == "rebinding_check_needed"
    assert (await new.confirm(*requested, await scenario.binding_code(student))).status_code == 200


async def test_without_a_face_only_a_code_given_in_person_completes_it(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.bind_phone(student)
    new = scenario.phone()
    requested = await scenario.request_code(new, student)
    answer = await new.confirm(*requested)
    assert answer.json()["checks"] == ["in_person"]
    assert await send_face(scenario, new, requested[0], student, person=7) == "rebinding_face_unavailable"
    code = await scenario.binding_code(student)
    assert problem_code((await new.confirm(requested[0], None, code)).text) == "code_wrong", (
        "the SMS is needed"
    )
    assert (await new.confirm(*requested, code)).status_code == 200


async def test_the_counselor_of_the_class_and_the_registrar_give_binding_codes(
    scenario: IdentityScenario,
) -> None:
    world, student = scenario.world, scenario.school.students[0]
    path, body = f"/v1/students/{student.id}/binding-codes", {"identity_check": "当面核对身份证"}
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    answer = await registrar.post(path, body)
    assert (answer.status_code, len(answer.json()["code"])) == (201, 10)
    bureau = await create_staff_user(scenario, "bureau", world.city.id)
    assert (await bureau.post(path, body)).status_code == 403
    stranger = await registrar.create_subordinate("counselor", scenario.school.id)
    assert (await stranger.post(path, body)).status_code == 404
    other = await create_staff_user(scenario, "registrar", world.sister.id)
    assert (await other.post(path, body)).status_code == 404


async def objecting_phones(scenario: IdentityScenario) -> tuple[Phone, Phone, StaffUser, str]:
    student = scenario.school.students[0]
    old = await scenario.bind_phone(student)
    new = await scenario.bind_phone(student)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    answer = await old.prove("POST", "/v1/rebinding-objections", json={"note": "不是我换的"})
    assert answer.status_code == 201, answer.text
    return old, new, registrar, answer.json()["id"]


async def test_the_old_phone_is_told_and_objects_and_an_upheld_objection_revokes_the_new_one(
    scenario: IdentityScenario,
) -> None:
    old, new, registrar, objection_id = await objecting_phones(scenario)
    again = await old.prove("POST", "/v1/rebinding-objections", json={})
    assert again.json()["id"] == objection_id
    listed = (await registrar.get("/v1/rebinding-objections")).json()["items"]
    assert [(each["id"], each["state"]) for each in listed if each["id"] == objection_id] == [
        (objection_id, "open")
    ]
    path = f"/v1/rebinding-objections/{objection_id}/decision"
    body = {"outcome": "upheld", "reason": "当面核对，新手机不是本人的"}
    assert (await registrar.post(path, body)).json()["state"] == "upheld"
    assert problem_code((await new.get("/v1/me")).text) == "key_revoked"
    assert problem_code((await registrar.post(path, body)).text) == "conflict"


async def test_an_objection_starts_the_cool_down_again_and_may_be_dismissed(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    old = await scenario.bind_phone(student)
    new = await scenario.bind_phone(student)
    scenario.clock.offset += timedelta(days=6)
    until = (await new.get("/v1/me")).json()["cool_down_until"]
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    answer = await old.prove("POST", "/v1/rebinding-objections", json={})
    assert (await new.get("/v1/me")).json()["cool_down_until"] > until
    path = f"/v1/rebinding-objections/{answer.json()['id']}/decision"
    assert (await registrar.post(path, {"outcome": "dismissed", "reason": "本人换机"})).status_code == 200
    assert (await new.get("/v1/me")).status_code == 200


async def test_only_a_replaced_phone_can_object_and_only_during_the_cool_down(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    unbound = await scenario.phone().prove("POST", "/v1/rebinding-objections", json={})
    assert problem_code(unbound.text) == "key_revoked"
    old = await scenario.bind_phone(student)
    assert problem_code((await old.prove("POST", "/v1/rebinding-objections", json={})).text) == "conflict"
    await scenario.bind_phone(student)
    scenario.clock.offset += timedelta(days=8)
    late = await old.prove("POST", "/v1/rebinding-objections", json={})
    assert problem_code(late.text) == "conflict"


async def test_other_staff_do_not_see_or_decide_an_objection(scenario: IdentityScenario) -> None:
    *_, objection_id = await objecting_phones(scenario)
    path = f"/v1/rebinding-objections/{objection_id}/decision"
    body = {"outcome": "upheld", "reason": "越权"}
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    other = await create_staff_user(scenario, "registrar", scenario.world.sister.id)
    assert (await bureau.post(path, body)).status_code == 403
    assert (await other.post(path, body)).status_code == 404
    assert (await other.get("/v1/rebinding-objections")).json()["items"] == []
    absent = await other.post(f"/v1/rebinding-objections/{new_id()}/decision", body)
    assert absent.status_code == 404


async def test_face_consents_and_contact_data_wait_for_the_end_of_the_cool_down(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    await scenario.bind_phone(student)
    new = await scenario.bind_phone(student)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    refused = await new.consent("face_use", "face-use-1")
    assert (refused.status_code, problem_code(refused.text)) == (409, "cool_down_active")
    assert (await new.consent("location", "location-3")).status_code == 201
    claim = {"result": "wrong", "field": "phone", "claimed": "13911112222", "note": "换号"}
    correction = (await new.post("/v1/me/record/checks", json=claim)).json()
    decision = f"/v1/record-corrections/{correction['id']}/decision"
    answer = await registrar.post(decision, {"decision": "accepted"})
    assert problem_code(answer.text) == "cool_down_active"
    scenario.clock.offset += timedelta(days=8)
    assert (await new.consent("face_use", "face-use-1")).status_code == 201


async def test_revoking_a_consent_and_the_non_face_route_work_during_the_cool_down_and_are_marked(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    await enrolled_phone(scenario, student)
    new = await scenario.bind_phone(student)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    assert (await new.consent("face_use", "face-use-1", granted=False)).status_code == 201
    answer = await new.post("/v1/me/non-face-route", json={"reason": "不同意使用人脸识别"})
    assert answer.status_code == 204
    acts = (await registrar.get(f"/v1/students/{student.id}/cool-down-acts")).json()
    assert [act["kind"] for act in acts] == ["non_face_route", "consent_revoked"]
    scenario.clock.offset += timedelta(days=8)
    await new.consent("location", "location-3", granted=False)
    await registrar.sign_in()
    assert len((await registrar.get(f"/v1/students/{student.id}/cool-down-acts")).json()) == 2


async def test_rows_of_rebinding_are_hidden_from_other_schools(scenario: IdentityScenario) -> None:
    *_, objection_id = await objecting_phones(scenario)
    for scope, visible in (
        (Scope.wide(PROVINCE_PATH), True),
        (Scope.school(scenario.world.sister.id, scenario.world.sister.path), False),
    ):
        async with scenario.app_context.database.transaction(scope) as session:
            assert (await session.get(RebindingObjection, UUID(objection_id)) is not None) is visible
