"""Attestations, their review, and determinations, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.staff_api.roll_calls.attestations import router
from tests.support.province import counselor_account, registrar_account
from tests.support.roll_call.attester import attester_position
from tests.support.roll_call.scenario import GRACE, RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, is_same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def attestation_body(
    api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID, student_id: UUID
) -> dict[str, Any]:
    """The body with which a counselor attests this student's presence by the student card."""
    issued = await api.post(scenario.registrar, f"/v1/students/{student_id}/card-code", {})
    assert issued.status_code == 201, issued.text
    (site,) = (await api.get(scenario.registrar, f"/v1/roll-calls/{roll_call_id}/sites")).json()
    return {
        "student_id": str(student_id),
        "code": issued.json()["code"],
        "site_version_id": site["site_version_id"],
        "reason": "手机损坏",
        "position": attester_position(),
    }


async def test_an_attestation_and_its_review(api: StaffClient, scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    klass = scenario.school.classes[0]
    student, counselor = klass.students[0], counselor_account(scenario.school, klass)
    body = await attestation_body(api, scenario, launched.roll_call.id, student.id)
    path = f"/v1/roll-calls/{launched.roll_call.id}/attestations"
    assert body["code"].isdigit()
    wrong = await api.post(counselor, path, body | {"code": f"{(int(body['code']) + 1) % 10**8:08d}"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "student_code_wrong")
    written = await api.post(counselor, path, body)
    assert written.status_code == 201, written.text
    assert set(written.json()) == {"student_id", "student_name", "site_version_id", "at"}
    assert (await scenario.outcomes(launched.roll_call.id))[student.id].method == "attested"
    (listed,) = await api.every(counselor, path)
    assert (listed["student_id"], listed["reason"]) == (str(student.id), "手机损坏")
    assert listed["student_name"]
    assert listed["class_name"]
    assert listed["site_name"]
    assert "sampled" not in listed
    assert await api.every(counselor_account(scenario.school, scenario.school.classes[1]), path) == []
    review = f"{path}/{student.id}/review"
    own = await api.post(counselor, review, {"upheld": True, "note": "本人"})
    assert (own.status_code, own.json()["code"]) == (403, "not_permitted")
    second = await api.post(scenario.bureau, review, {"upheld": True, "note": "已视频核对"})
    assert (second.status_code, second.json()["upheld"]) == (201, True)


@pytest.mark.clause("HN334-2.3")
async def test_students_of_other_counselors_are_not_found(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    launched = await scenario.launch()
    mine, other = scenario.school.classes
    counselor = counselor_account(scenario.school, mine)
    body = await attestation_body(api, scenario, launched.roll_call.id, other.students[0].id)
    path = f"/v1/roll-calls/{launched.roll_call.id}/attestations"
    foreign = await api.post(counselor, path, body)
    assert foreign.status_code == 404
    assert is_same_refusal(foreign, await api.post(counselor, path, body | {"student_id": str(new_id())}))
    stranger = registrar_account(scenario.world.sister)
    code = f"/v1/students/{mine.students[0].id}/card-code"
    foreign = await api.post(stranger, code, {})
    assert foreign.status_code == 404
    assert is_same_refusal(foreign, await api.post(stranger, f"/v1/students/{new_id()}/card-code", {}))
    sites = await api.get(stranger, f"/v1/roll-calls/{launched.roll_call.id}/sites")
    assert sites.status_code == 404


async def test_an_undetermined_result_is_determined_once_by_the_launcher(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    launched = await scenario.launch()
    student = await scenario.activate(scenario.school.students[0])
    await scenario.check_in(student, launched.roll_call.id)
    path = f"/v1/roll-calls/{launched.roll_call.id}/determinations"
    body = {"student_id": str(student.student_id), "outcome": "missed", "reason": "经视频核对，不在校"}
    early = await api.post(scenario.bureau, path, body)
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    scenario.clock.at = launched.roll_call.closes_at + 3 * GRACE
    await scenario.settle(launched.roll_call)
    checked = await api.post(scenario.registrar, path, body)
    assert (checked.status_code, checked.json()["code"]) == (403, "not_permitted")
    assert (await api.post(scenario.bureau, path, body | {"outcome": "excused"})).status_code == 422
    decided = await api.post(scenario.bureau, path, body)
    assert (decided.status_code, decided.json()["outcome"], decided.json()["seq"]) == (201, "missed", 2)
    again = await api.post(scenario.bureau, path, body | {"outcome": "present"})
    assert (again.status_code, again.json()["code"]) == (409, "result_closed")


async def test_the_limits_say_how_many_attestations_are_left(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    klass = scenario.school.classes[0]
    counselor = counselor_account(scenario.school, klass)
    path = f"/v1/roll-calls/{roll_call_id}/attestation-limits"
    before = (await api.get(counselor, path)).json()
    assert before["own"] == {"limit": 20, "used": 0, "left": 20}
    [of_class] = before["classes"]
    assert of_class == {
        "class_id": str(klass.id),
        "class_name": of_class["class_name"],
        "limit": 3,
        "used": 0,
        "left": 3,
    }
    assert of_class["class_name"]
    body = await attestation_body(api, scenario, roll_call_id, klass.students[0].id)
    written = await api.post(counselor, f"/v1/roll-calls/{roll_call_id}/attestations", body)
    assert written.status_code == 201, written.text
    after = (await api.get(counselor, path)).json()
    assert (after["own"]["used"], after["own"]["left"]) == (1, 19)
    assert (after["classes"][0]["used"], after["classes"][0]["left"]) == (1, 2)
    of_school = (await api.get(scenario.registrar, path)).json()
    assert of_school["own"] is None
    assert len(of_school["classes"]) == len(scenario.school.classes)
    refused = await api.get(scenario.bureau, path)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


async def test_a_reason_is_a_code_or_a_text(api: StaffClient, scenario: RollCallScenario) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    klass = scenario.school.classes[0]
    counselor = counselor_account(scenario.school, klass)
    path = f"/v1/roll-calls/{roll_call_id}/attestations"
    reasons = (await api.get(counselor, "/v1/attestation-reasons")).json()
    assert [each["code"] for each in reasons if each["needs_text"]] == ["other"]
    assert all(each["zh"] and each["en"] for each in reasons)
    first, second = klass.students[:2]
    body = await attestation_body(api, scenario, roll_call_id, first.id)
    body.pop("reason")
    refused = await api.post(counselor, path, body)
    assert (refused.status_code, refused.json()["errors"][0]["message_zh"]) == (
        422,
        "请选择原因，或写明原因",
    )
    assert (await api.post(counselor, path, body | {"reason_code": "camera_broken"})).status_code == 201
    written = await attestation_body(api, scenario, roll_call_id, second.id)
    assert (await api.post(counselor, path, written)).status_code == 201
    listed = {each["student_id"]: each for each in await api.every(counselor, path)}
    assert [
        (listed[str(each.id)]["reason_code"], listed[str(each.id)]["reason"]) for each in (first, second)
    ] == [
        ("camera_broken", "摄像头损坏"),
        ("other", "手机损坏"),
    ]
