"""Withdrawing a consent about the face and giving it again, and the two persons who approve a new face (HN334-3.1)."""

from typing import Any

import pytest
from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity import tables
from backend.identity.consents import current_text_versions, current_texts
from backend.identity.face.pool import face_pool
from backend.identity.face.templates import load_active_template, shred_face_data
from backend.identity.policy import province_policy
from backend.people.tables import Guardian
from backend.staff_api.organisation.pictures import router
from tests.identity.test_activation import (
    VERSIONS,
    PoolInProcess,
    consent,
    enrol,
    judge_newest,
    load_open_steps,
    shots,
)
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.province import (
    PROVINCE_PATH,
    SampleStudent,
    bureau_account,
    counselor_account,
    province_account,
    registrar_account,
)
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.1")

APPROVED = {"approved": True, "seen_in_person": True, "reasons": "当面核对一致"}
REFUSED = {"approved": False, "reasons": "与证件照不符"}


@pytest.fixture
def pool(scenario: IdentityScenario) -> PoolInProcess:
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


@pytest.fixture
def api(scenario: IdentityScenario) -> StaffClient:
    return staff_client(scenario.app_context, router)


async def withdraw(phone: Phone, kind: str = "face_use") -> None:
    assert (await phone.consent(kind, VERSIONS[kind], granted=False)).status_code == 201


async def withdraw_and_enrol_again(scenario: IdentityScenario, student: SampleStudent, person: int) -> Phone:
    phone = await enrol(scenario, student)
    await withdraw(phone)
    await consent(phone, "face_use")
    assert (await phone.enrol_face(shots(person))).status_code == 202
    assert (await judge_newest(scenario, student)).status == "review"
    return phone


async def load_statuses(scenario: IdentityScenario, student: SampleStudent) -> list[str]:
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        rows = await session.scalars(
            select(tables.FaceTemplateRecord)
            .where(tables.FaceTemplateRecord.student_id == student.id)
            .order_by(tables.FaceTemplateRecord.created_at)
        )
        return [row.status for row in rows]


async def has_template(scenario: IdentityScenario, student: SampleStudent) -> bool:
    async with scenario.app_context.database.transaction(
        Scope.student(student.school_id, student.id)
    ) as session:
        return await load_active_template(session, scenario.app_context.keys, student.id) is not None


async def open_replacement(api: StaffClient, actor: Actor) -> dict[str, Any]:
    [item] = (await api.get(actor, "/v1/face-replacements")).json()["items"]
    replacement: dict[str, Any] = item
    return replacement


async def answer(api: StaffClient, actor: Actor, enrolment_id: str, body: dict[str, Any]) -> tuple[int, Any]:
    response = await api.post(actor, f"/v1/face-replacements/{enrolment_id}/answers", body)
    return response.status_code, response.json()


async def test_consent_given_again_enrols_a_new_face_with_two_persons(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    phone = await withdraw_and_enrol_again(scenario, student, 8)
    assert (await phone.get("/v1/me")).json()["verification_route"] == "non_face"
    assert (await phone.get("/v1/me/face")).json()["state"] == "review"
    assert problem_code((await phone.enrol_face(shots(8))).text) == "face_replacement_pending"
    registrar, superior = registrar_account(scenario.school), bureau_account(scenario.world.city)
    replacement = await open_replacement(api, registrar)
    assert (replacement["student_name"], replacement["shots"]) == (student.name, 3)
    status, body = await answer(api, registrar, replacement["id"], APPROVED)
    assert (status, body["state"], await has_template(scenario, student)) == (201, "open", False)
    status, body = await answer(api, superior, replacement["id"], APPROVED)
    assert (status, body["state"]) == (201, "approved")
    assert await has_template(scenario, student)
    assert (await phone.get("/v1/me")).json()["verification_route"] == "face"
    assert "face" not in await load_open_steps(scenario, student)
    await api.http.aclose()


async def test_withdrawing_and_giving_again_works_any_number_of_times(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    for person in (8, 9):
        await withdraw(phone)
        assert "face" not in await load_open_steps(scenario, student)
        await consent(phone, "face_use")
        assert (await phone.enrol_face(shots(person))).status_code == 202
        assert (await judge_newest(scenario, student)).status == "review"
        replacement = await open_replacement(api, registrar_account(scenario.school))
        for actor in (registrar_account(scenario.school), bureau_account(scenario.world.city)):
            assert (await answer(api, actor, replacement["id"], APPROVED))[0] == 201
        assert await has_template(scenario, student)
    assert await load_statuses(scenario, student) == ["shredded", "shredded", "active"]
    await api.http.aclose()


async def test_enrolled_face_stays_until_two_persons_approved_its_replacement(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    files = [("shots", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(shots(8))]
    assert (await phone.post("/v1/me/face-replacement", files=files)).status_code == 202
    assert (await judge_newest(scenario, student)).status == "review"
    assert await load_statuses(scenario, student) == ["active", "proposed"]
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    replacement = await open_replacement(api, counselor)
    assert (await answer(api, counselor, replacement["id"], APPROVED))[0] == 201
    assert await load_statuses(scenario, student) == ["active", "proposed"]
    assert (await answer(api, bureau_account(scenario.world.city), replacement["id"], APPROVED))[0] == 201
    assert await load_statuses(scenario, student) == ["replaced", "active"]
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        replaced = select(tables.FaceTemplateRecord.sealed).where(
            tables.FaceTemplateRecord.student_id == student.id,
            tables.FaceTemplateRecord.status == "replaced",
        )
        assert await session.scalar(replaced) == b""
    await api.http.aclose()


async def test_one_refusal_ends_a_replacement_and_the_student_may_apply_again(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    phone = await withdraw_and_enrol_again(scenario, student, 8)
    superior = bureau_account(scenario.world.city)
    replacement = await open_replacement(api, registrar_account(scenario.school))
    status, body = await answer(api, superior, replacement["id"], REFUSED)
    assert (status, body["state"]) == (201, "refused")
    assert not await has_template(scenario, student)
    state = (await phone.get("/v1/me/face")).json()
    assert (state["state"], state["reasons"][-1]["code"]) == ("refused", "face_replacement_refused")
    assert (await phone.enrol_face(shots(8))).status_code == 202
    assert (await judge_newest(scenario, student)).status == "review"
    await api.http.aclose()


async def test_two_answers_need_two_sides_and_the_school_must_see_the_student(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    await withdraw_and_enrol_again(scenario, student, 8)
    registrar = registrar_account(scenario.school)
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    enrolment_id = (await open_replacement(api, registrar))["id"]
    unseen = await answer(api, registrar, enrolment_id, APPROVED | {"seen_in_person": False})
    assert (unseen[0], unseen[1]["code"]) == (422, "face_replacement_not_seen")
    assert (await answer(api, registrar, enrolment_id, APPROVED))[0] == 201
    again = await answer(api, counselor, enrolment_id, APPROVED)
    assert (again[0], again[1]["code"]) == (409, "face_replacement_closed")
    other_class = counselor_account(scenario.school, scenario.school.classes[1])
    other_city = bureau_account(scenario.world.other_city)
    for stranger in (other_class, registrar_account(scenario.world.sister), other_city):
        assert (await answer(api, stranger, enrolment_id, APPROVED))[0] == 404
    assert (await answer(api, province_account(scenario.world.province), enrolment_id, APPROVED))[0] == 201
    await api.http.aclose()


async def test_new_pictures_are_shown_to_those_who_decide(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    await withdraw_and_enrol_again(scenario, scenario.school.students[0], 8)
    registrar = registrar_account(scenario.school)
    path = f"/v1/face-replacements/{(await open_replacement(api, registrar))['id']}/pictures"
    picture = await api.get(registrar, f"{path}/0")
    assert (picture.status_code, picture.content[:3]) == (200, b"\xff\xd8\xff")
    assert (await api.get(registrar, f"{path}/3")).status_code == 404
    await api.http.aclose()


async def test_withdrawal_ends_an_open_replacement(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    phone = await withdraw_and_enrol_again(scenario, student, 8)
    registrar = registrar_account(scenario.school)
    enrolment_id = (await open_replacement(api, registrar))["id"]
    await withdraw(phone, "face_template_storage")
    assert (await api.get(registrar, "/v1/face-replacements")).json()["items"] == []
    assert (await answer(api, registrar, enrolment_id, APPROVED))[0] in {404, 409}
    assert await load_statuses(scenario, student) == ["shredded", "shredded"]
    await api.http.aclose()


async def test_replacement_of_a_student_who_left_cannot_be_approved(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    await withdraw_and_enrol_again(scenario, student, 8)
    registrar = registrar_account(scenario.school)
    enrolment_id = (await open_replacement(api, registrar))["id"]
    assert (await answer(api, registrar, enrolment_id, APPROVED))[0] == 201
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await shred_face_data(session, [student.id], scenario.clock())
    status, body = await answer(api, bureau_account(scenario.world.city), enrolment_id, APPROVED)
    assert (status, body["code"]) == (409, "face_replacement_closed")
    await api.http.aclose()


async def test_replacement_is_announced_to_the_school_the_superior_and_the_student(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    await withdraw_and_enrol_again(scenario, student, 8)
    assert await scenario.deliver_events("FaceReplacementRequested") == 1
    registrar = registrar_account(scenario.school)
    enrolment_id = (await open_replacement(api, registrar))["id"]
    await answer(api, registrar, enrolment_id, APPROVED)
    assert await scenario.deliver_events("FaceReplacementSeen") == 1
    await answer(api, bureau_account(scenario.world.city), enrolment_id, APPROVED)
    assert await scenario.deliver_events("FaceReplacementDecided") == 1
    await api.http.aclose()


async def test_student_goes_to_the_non_face_route_and_back_at_any_time(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    for _ in range(2):
        assert (await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})).status_code == 204
        assert (await phone.get("/v1/me")).json()["verification_route"] == "non_face"
        assert (await phone.post("/v1/me/face-route")).status_code == 204
        assert (await phone.get("/v1/me")).json()["verification_route"] == "face"
        assert "face" not in await load_open_steps(scenario, student)


async def test_the_way_back_needs_consents_and_a_face(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})
    assert problem_code((await phone.post("/v1/me/face-route")).text) == "face_not_ready"
    assert "face" not in await load_open_steps(scenario, student)
    await consent(phone)
    await phone.enrol_face(shots(7))
    assert (await judge_newest(scenario, student)).status == "accepted"
    assert (await phone.get("/v1/me")).json()["verification_route"] == "face"


async def test_every_consent_shows_its_text_in_both_languages(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    listed = (await phone.get("/v1/me/consents")).json()
    law = province_policy(scenario.app_context, scenario.clock())
    assert {each["kind"]: each["text_version"] for each in listed} == current_text_versions(law)
    for each in listed:
        assert len(each["text_zh"]) > 50
        assert len(each["text_en"]) > 100
        text = (await phone.get(f"/v1/me/consent-texts/{each['text_version']}")).json()
        assert text == {key: each[key] for key in text}
    assert (await phone.get("/v1/me/consent-texts/face-use-0")).status_code == 404
    assert all("撤回" in text.zh and "withdraw" in text.en for text in current_texts(law).values())


@pytest.mark.parametrize("is_guardian", [True, False])
async def test_guardian_notice_needs_a_guardian_with_a_phone(
    scenario: IdentityScenario, *, is_guardian: bool
) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    version = "guardian-notice-2"
    assert problem_code((await phone.consent("guardian_notice", version)).text) == "guardian_not_on_file"
    assert (await phone.consent("guardian_notice", version, granted=False)).status_code == 201
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        session.add(
            Guardian(
                id=new_id(),
                school_id=student.school_id,
                student_id=student.id,
                position=1,
                name="张大山",
                relation="父亲",
                is_guardian=is_guardian,
                phone="13900000000",
            )
        )
    assert (await phone.consent("guardian_notice", version)).status_code == (201 if is_guardian else 409)
