"""Leave over HTTP as counselors, registrars and launchers see it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.staff_api.accounts.colleagues import router as colleagues_router
from backend.staff_api.leave import router
from tests.support.leave import LeaveScenario, create_leave_scenario
from tests.support.province import bureau_account, province_account
from tests.support.staff_client import StaffClient, is_same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-3.5a")


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> LeaveScenario:
    return await create_leave_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: LeaveScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.roll_call_scenario.app_context, router, colleagues_router)
    yield client
    await client.http.aclose()


async def test_counselor_decides_ends_and_counts_leave_of_own_class(
    api: StaffClient, scenario: LeaveScenario
) -> None:
    asked = await scenario.request(days=3)
    path = f"/v1/leave-requests/{asked.request.id}"
    waiting = await api.every(scenario.counselor, "/v1/leave-requests", state="pending")
    assert [each["id"] for each in waiting] == [str(asked.request.id)]
    assert [each["student_name"] for each in waiting] == [scenario.pupil.name]
    bare = await api.post(scenario.counselor, f"{path}/decision", {"outcome": "declined"})
    assert (bare.status_code, bare.json()["code"]) == (422, "leave_opinion_missing")
    decided = await api.post(
        scenario.counselor, f"{path}/decision", {"outcome": "approved", "opinion": "同意"}
    )
    assert (decided.status_code, decided.json()["state"]) == (201, "approved")
    assert decided.json()["student_name"] == scenario.pupil.name
    twice = await api.post(scenario.roll_call_scenario.registrar, f"{path}/decision", {"outcome": "approved"})
    assert (twice.status_code, twice.json()["code"]) == (409, "leave_decided")
    scenario.set_clock(days=1)
    back = await api.post(scenario.counselor, f"{path}/return", {"returned_at": scenario.at.isoformat()})
    assert (back.status_code, back.json()["state"]) == (201, "returned")
    days = (await api.get(scenario.counselor, f"/v1/students/{scenario.pupil.id}/leave-days")).json()
    assert (days["used"], days["planned"], days["cap"]) == (2, 2, 15)
    over = await api.post(scenario.counselor, f"{path}/cancellation", {"reason": "重复"})
    assert (over.status_code, over.json()["code"]) == (409, "leave_over")


@pytest.mark.clause("HN334-2.3")
async def test_leave_of_other_classes_is_not_found_and_hidden_from_superiors(
    api: StaffClient, scenario: LeaveScenario
) -> None:
    asked = await scenario.request()
    ghost = new_id()
    for suffix, body in (("", None), ("/decision", {"outcome": "approved"}), ("/return", {})):
        answers = []
        for leave_id in (asked.request.id, ghost):
            path = f"/v1/leave-requests/{leave_id}{suffix}"
            answers.append(
                await api.get(scenario.colleague, path)
                if body is None
                else await api.post(scenario.colleague, path, body)
            )
        assert answers[0].status_code == 404
        assert is_same_refusal(*answers)
    assert await api.every(scenario.colleague, "/v1/leave-requests") == []
    days = await api.get(scenario.colleague, f"/v1/students/{scenario.pupil.id}/leave-days")
    assert days.status_code == 404
    world = scenario.roll_call_scenario.world
    for superior in (bureau_account(world.city), province_account(world.province)):
        for path in ("/v1/leave-requests", f"/v1/leave-requests/{asked.request.id}", "/v1/leave-stand-ins"):
            assert (await api.get(superior, path)).status_code == 403


async def test_stand_in_sees_the_class_of_the_counselor(api: StaffClient, scenario: LeaveScenario) -> None:
    colleague = await scenario.roll_call_scenario.account(
        "counselor", scenario.school, scenario.school.classes[1]
    )
    asked = await scenario.request()
    body: dict[str, Any] = {
        "stand_in_id": str(colleague.counselor_id),
        "starts_at": scenario.at.isoformat(),
        "ends_at": (scenario.at + timedelta(days=2)).isoformat(),
    }
    refused = await api.post(scenario.roll_call_scenario.registrar, "/v1/leave-stand-ins", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    named = await api.post(scenario.counselor, "/v1/leave-stand-ins", body)
    assert named.status_code == 201, named.text
    for reader in (scenario.counselor, colleague, scenario.roll_call_scenario.registrar):
        listed = await api.every(reader, "/v1/leave-stand-ins")
        assert [each["id"] for each in listed] == [named.json()["id"]]
        assert all(each["counselor_name"] and each["stand_in_name"] for each in listed)
    seen = await api.every(colleague, "/v1/leave-requests", student_id=str(scenario.pupil.id))
    assert [each["id"] for each in seen] == [str(asked.request.id)]
    decided = await api.post(
        colleague, f"/v1/leave-requests/{asked.request.id}/decision", {"outcome": "approved"}
    )
    assert decided.status_code == 201
    backwards = await api.post(
        scenario.counselor, "/v1/leave-stand-ins", body | {"ends_at": body["starts_at"]}
    )
    assert (backwards.status_code, backwards.json()["code"]) == (422, "stand_in_unfit")


@pytest.mark.clause("R6")
async def test_late_leave_is_a_claim_for_the_launcher(api: StaffClient, scenario: LeaveScenario) -> None:
    stood, between, late, pending, elsewhere, _ = scenario.school.students
    await scenario.request_approved(pupil=stood)
    hour = timedelta(hours=1)
    opens_at = scenario.at + 3 * hour
    launched = await scenario.roll_call_scenario.launch(
        announced=False, notify_at=scenario.at + hour, opens_at=opens_at, closes_at=opens_at + hour
    )
    assert (launched.excused, launched.owed) == (1, 5)
    await scenario.request_approved(pupil=between)
    scenario.set_clock(hour=10)
    await scenario.request_approved(pupil=late)
    await scenario.request(pupil=pending)
    await scenario.request_approved(first=1, pupil=elsewhere)
    path = f"/v1/roll-calls/{launched.roll_call.id}/leave-claims"
    claims = await api.every(scenario.roll_call_scenario.bureau, path, limit=1)
    assert {each["student_id"]: each["after_notice"] for each in claims} == {
        str(late.id): True,
        str(pending.id): True,
    }
    assert "reason" not in claims[0]
    checked = await api.get(scenario.roll_call_scenario.registrar, path)
    assert (checked.status_code, checked.json()["code"]) == (403, "not_permitted")
    stranger = bureau_account(scenario.roll_call_scenario.world.other_city)
    assert (await api.get(stranger, path)).status_code == 404


async def test_a_colleague_from_the_list_is_named_as_a_stand_in(
    api: StaffClient, scenario: LeaveScenario
) -> None:
    stage = scenario.roll_call_scenario
    colleague = await stage.account("counselor", scenario.school, scenario.school.classes[1])
    await stage.account("counselor", stage.world.sister, stage.world.sister.classes[0])
    [listed] = await api.every(scenario.counselor, "/v1/colleagues")
    assert (listed["id"], listed["classes"]) == (str(colleague.counselor_id), 1)
    assert listed["name"]
    body = {
        "stand_in_id": listed["id"],
        "starts_at": scenario.at.isoformat(),
        "ends_at": (scenario.at + timedelta(days=2)).isoformat(),
    }
    named = await api.post(scenario.counselor, "/v1/leave-stand-ins", body)
    assert (named.status_code, named.json()["stand_in_name"]) == (201, listed["name"])
    refused = await api.get(bureau_account(stage.world.city), "/v1/colleagues")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
