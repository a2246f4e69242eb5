"""Leave over HTTP as counselors, registrars and launchers see it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.staff_api.leave import router
from tests.support.leave import Desk, opened
from tests.support.province import bureau_account, province_account
from tests.support.staff_client import StaffClient, same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-3.5a")


@pytest.fixture
async def desk(app_context: AppContext, owner: Database) -> Desk:
    return await opened(app_context, owner)


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[StaffClient]:
    client = staff_client(desk.roll_call_scenario.app_context, router)
    yield client
    await client.http.aclose()


async def test_counselor_decides_ends_and_counts_leave_of_own_class(api: StaffClient, desk: Desk) -> None:
    asked = await desk.ask(days=3)
    path = f"/v1/leave-requests/{asked.request.id}"
    waiting = await api.every(desk.counselor, "/v1/leave-requests", state="pending")
    assert [each["id"] for each in waiting] == [str(asked.request.id)]
    bare = await api.post(desk.counselor, f"{path}/decision", {"outcome": "declined"})
    assert (bare.status_code, bare.json()["code"]) == (422, "leave_opinion_missing")
    decided = await api.post(desk.counselor, f"{path}/decision", {"outcome": "approved", "opinion": "同意"})
    assert (decided.status_code, decided.json()["state"]) == (201, "approved")
    twice = await api.post(desk.roll_call_scenario.registrar, f"{path}/decision", {"outcome": "approved"})
    assert (twice.status_code, twice.json()["code"]) == (409, "leave_decided")
    desk.set_clock(days=1)
    back = await api.post(desk.counselor, f"{path}/return", {"returned_at": desk.at.isoformat()})
    assert (back.status_code, back.json()["state"]) == (201, "returned")
    days = (await api.get(desk.counselor, f"/v1/students/{desk.pupil.id}/leave-days")).json()
    assert (days["used"], days["planned"], days["cap"]) == (2, 2, 15)
    over = await api.post(desk.counselor, f"{path}/cancellation", {"reason": "重复"})
    assert (over.status_code, over.json()["code"]) == (409, "leave_over")


@pytest.mark.clause("HN334-2.3")
async def test_leave_of_other_classes_is_not_found_and_hidden_from_superiors(
    api: StaffClient, desk: Desk
) -> None:
    asked = await desk.ask()
    ghost = new_id()
    for suffix, body in (("", None), ("/decision", {"outcome": "approved"}), ("/return", {})):
        answers = []
        for leave_id in (asked.request.id, ghost):
            path = f"/v1/leave-requests/{leave_id}{suffix}"
            answers.append(
                await api.get(desk.colleague, path)
                if body is None
                else await api.post(desk.colleague, path, body)
            )
        assert answers[0].status_code == 404
        assert same_refusal(*answers)
    assert await api.every(desk.colleague, "/v1/leave-requests") == []
    days = await api.get(desk.colleague, f"/v1/students/{desk.pupil.id}/leave-days")
    assert days.status_code == 404
    world = desk.roll_call_scenario.world
    for superior in (bureau_account(world.city), province_account(world.province)):
        for path in ("/v1/leave-requests", f"/v1/leave-requests/{asked.request.id}", "/v1/leave-stand-ins"):
            assert (await api.get(superior, path)).status_code == 403


async def test_stand_in_sees_the_class_of_the_counselor(api: StaffClient, desk: Desk) -> None:
    colleague = await desk.roll_call_scenario.account("counselor", desk.school, desk.school.classes[1])
    asked = await desk.ask()
    body: dict[str, Any] = {
        "stand_in_id": str(colleague.counselor_id),
        "starts_at": desk.at.isoformat(),
        "ends_at": (desk.at + timedelta(days=2)).isoformat(),
    }
    refused = await api.post(desk.roll_call_scenario.registrar, "/v1/leave-stand-ins", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    named = await api.post(desk.counselor, "/v1/leave-stand-ins", body)
    assert named.status_code == 201, named.text
    for reader in (desk.counselor, colleague, desk.roll_call_scenario.registrar):
        listed = await api.every(reader, "/v1/leave-stand-ins")
        assert [each["id"] for each in listed] == [named.json()["id"]]
    seen = await api.every(colleague, "/v1/leave-requests", student_id=str(desk.pupil.id))
    assert [each["id"] for each in seen] == [str(asked.request.id)]
    decided = await api.post(
        colleague, f"/v1/leave-requests/{asked.request.id}/decision", {"outcome": "approved"}
    )
    assert decided.status_code == 201
    backwards = await api.post(desk.counselor, "/v1/leave-stand-ins", body | {"ends_at": body["starts_at"]})
    assert (backwards.status_code, backwards.json()["code"]) == (422, "stand_in_unfit")


@pytest.mark.clause("R6")
async def test_late_leave_is_a_claim_for_the_launcher(api: StaffClient, desk: Desk) -> None:
    stood, between, late, pending, elsewhere, _ = desk.school.students
    await desk.approved(pupil=stood)
    hour = timedelta(hours=1)
    opens_at = desk.at + 3 * hour
    launched = await desk.roll_call_scenario.launch(
        told=False, notify_at=desk.at + hour, opens_at=opens_at, closes_at=opens_at + hour
    )
    assert (launched.excused, launched.owed) == (1, 5)
    await desk.approved(pupil=between)
    desk.set_clock(hour=10)
    await desk.approved(pupil=late)
    await desk.ask(pupil=pending)
    await desk.approved(first=1, pupil=elsewhere)
    path = f"/v1/roll-calls/{launched.roll_call.id}/leave-claims"
    claims = await api.every(desk.roll_call_scenario.bureau, path, limit=1)
    assert {each["student_id"]: each["after_notice"] for each in claims} == {
        str(late.id): True,
        str(pending.id): True,
    }
    assert "reason" not in claims[0]
    checked = await api.get(desk.roll_call_scenario.registrar, path)
    assert (checked.status_code, checked.json()["code"]) == (403, "not_permitted")
    stranger = bureau_account(desk.roll_call_scenario.world.other_city)
    assert (await api.get(stranger, path)).status_code == 404
