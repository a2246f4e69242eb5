"""Appeals over HTTP through the mobile and the staff API; only the sign-in is replaced."""

from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI

from backend.appeal.queries import AppealView, load_appeal
from backend.core.web.problems import install_problem_handlers
from backend.core.web.requests import Caller
from backend.staff_api.appeals import router as staff_router
from mobile_api.appeals import router as mobile_router
from mobile_api.caller import PhoneCaller
from tests.support.appeal import AppealScenario
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-4.2")
GROUNDS = {"text": "当天在校实训，有考勤记录为证。"}


@pytest.fixture
async def staff(appeals: AppealScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(appeals.standing_scenario.app_context, staff_router)
    yield client
    await client.http.aclose()


@pytest.fixture
async def phone(appeals: AppealScenario) -> AsyncIterator[httpx.AsyncClient]:
    """A client signed in as the student."""
    app = FastAPI()
    app.state.app_context = appeals.standing_scenario.app_context
    install_problem_handlers(app)
    app.include_router(mobile_router)

    def signed_in() -> Caller:
        return Caller(appeals.standing_scenario.app_context, appeals.student)

    app.dependency_overrides[get_args(PhoneCaller)[1].dependency] = signed_in
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver/v1/me") as client:
        yield client


async def test_a_student_appeals_and_the_authority_decides(
    appeals: AppealScenario, staff: StaffClient, phone: httpx.AsyncClient
) -> None:
    missed = await appeals.standing_scenario.check(actor=appeals.province)
    body = {"against": {"kind": "check", "roll_call_id": str(missed.id)}, "grounds": GROUNDS}
    filed = await phone.post("/appeals", json=body)
    assert (filed.status_code, filed.json()["state"]) == (201, "open"), filed.text
    path = f"/v1/appeals/{filed.json()['id']}"
    waiting = await staff.every(appeals.city, "/v1/appeals", to_decide=True)
    assert [each["id"] for each in waiting] == [filed.json()["id"]]
    whole = (await staff.get(appeals.city, path)).json()
    assert whole["against"]["outcomes"][-1]["outcome"] == "missed"
    assert whole["against"]["outcomes"][-1]["trace"] is not None
    assert (await staff.get(appeals.standing_scenario.registrar, path)).json()["against"]["outcomes"][0][
        "trace"
    ] is None
    asked = await staff.post(appeals.city, f"{path}/messages", {"text": "请补充考勤"})
    assert asked.status_code == 201, asked.text
    assert (await phone.post(f"/appeals/{filed.json()['id']}/read")).status_code == 204
    messages = await staff.every(appeals.city, f"{path}/messages", limit=1)
    assert [(each["seq"], each["side"], each["read_at"] is None) for each in messages] == [
        (1, "appellant", True),
        (2, "unit", False),
    ]
    decision = {"upheld": True, "reasons": "考勤属实", "finding": "present"}
    decided = await staff.post(appeals.city, f"{path}/decision", decision)
    assert (decided.status_code, decided.json()["state"]) == (201, "upheld"), decided.text
    mine = (await phone.get(f"/appeals/{filed.json()['id']}")).json()
    assert mine["decision"]["reasons"] == "考勤属实"
    assert mine["against"]["outcomes"][-1]["reason_zh"] == "申诉成立，结果已更正。"


async def test_a_student_takes_a_rejected_appeal_to_the_next_level(
    appeals: AppealScenario, phone: httpx.AsyncClient
) -> None:
    change = await appeals.execute_prompt()
    body = {"against": {"kind": "change", "change_id": str(change.id)}, "grounds": GROUNDS}
    first = (await phone.post("/appeals", json=body)).json()
    shown = (await phone.get(f"/appeals/{first['id']}")).json()["against"]
    assert (shown["cause"], shown["prompt_kind"]) == ("expiry", "misses")
    [filed] = await appeals.list_ids(appeals.student)
    early = await phone.post(f"/appeals/{filed}/next-level", json=GROUNDS)
    assert (early.status_code, early.json()["code"]) == (409, "previous_not_rejected")
    await appeals.reject(await _load_appeal(appeals))
    second = await phone.post(f"/appeals/{filed}/next-level", json=GROUNDS)
    assert (second.status_code, second.json()["level"]) == (201, 2), second.text
    taken_back = await phone.post(f"/appeals/{second.json()['id']}/withdrawal", json={})
    assert (taken_back.status_code, taken_back.json()["state"]) == (201, "withdrawn")
    first_page = (await phone.get("/appeals", params={"limit": 1})).json()
    rest = (await phone.get("/appeals", params={"limit": 1, "cursor": first_page["next_cursor"]})).json()
    assert [each["id"] for each in first_page["items"] + rest["items"]] == [second.json()["id"], str(filed)]


async def test_a_school_appeals_about_eligibility_and_counselors_are_refused(
    appeals: AppealScenario, staff: StaffClient, phone: httpx.AsyncClient
) -> None:
    await appeals.execute_prompt()
    today = appeals.standing_scenario.today.isoformat()
    pupil = appeals.standing_scenario.pupil.id
    body: dict[str, Any] = {
        "student_id": str(pupil),
        "against": {"kind": "gaokao", "on": today},
        "grounds": GROUNDS,
    }
    filed = await staff.post(appeals.standing_scenario.registrar, "/v1/appeals", body)
    assert filed.status_code == 201, filed.text
    schools = await staff.every(
        appeals.standing_scenario.registrar, "/v1/appeals", filed_by_school=True, state="open"
    )
    assert [each["id"] for each in schools] == [filed.json()["id"]]
    whole = (await staff.get(appeals.standing_scenario.registrar, f"/v1/appeals/{filed.json()['id']}")).json()
    assert whole["against"]["reasons"][0]["code"] == "not_full_time"
    for path in ("/v1/appeals", f"/v1/appeals/{filed.json()['id']}"):
        assert (await staff.get(appeals.standing_scenario.counselor, path)).status_code == 403
    mine = (await phone.get("/gaokao-eligibility", params={"on": today})).json()
    assert (mine["eligible"], mine["study_form"]) == (False, "part_time")
    asked = f"/v1/students/{pupil}/gaokao-eligibility"
    for reader in (appeals.standing_scenario.counselor, appeals.city, appeals.standing_scenario.registrar):
        assert (await staff.get(reader, asked)).status_code == 200


async def _load_appeal(appeals: AppealScenario) -> AppealView:
    """The student's only appeal."""
    [appeal_id] = await appeals.list_ids(appeals.student)
    async with appeals.standing_scenario.transaction(appeals.student) as session:
        return await load_appeal(session, appeals.student, appeal_id)
