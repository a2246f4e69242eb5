"""Appeals over HTTP, from the phone and from the desks; the sign-in alone is replaced."""

from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI

from backend.appeal.queries import AppealView, appeal_for
from backend.core.web.problems import install_problem_handlers
from backend.core.web.requests import Caller
from backend.staff_api.appeals import router as staff_router
from mobile_api.appeals import router as mobile_router
from mobile_api.caller import PhoneCaller
from tests.support.appeal import Docket
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-4.2")
GROUNDS = {"text": "当天在校实训，有考勤记录为证。"}


@pytest.fixture
async def staff(docket: Docket) -> AsyncIterator[StaffClient]:
    client = staff_client(docket.registry.app_context, staff_router)
    yield client
    await client.http.aclose()


@pytest.fixture
async def phone(docket: Docket) -> AsyncIterator[httpx.AsyncClient]:
    """The student's."""
    app = FastAPI()
    app.state.app_context = docket.registry.app_context
    install_problem_handlers(app)
    app.include_router(mobile_router)

    def signed_in() -> Caller:
        return Caller(docket.registry.app_context, docket.student)

    app.dependency_overrides[get_args(PhoneCaller)[1].dependency] = signed_in
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver/v1/me") as client:
        yield client


async def test_a_student_appeals_and_the_authority_decides(
    docket: Docket, staff: StaffClient, phone: httpx.AsyncClient
) -> None:
    missed = await docket.registry.check(actor=docket.province)
    body = {"against": {"kind": "check", "roll_call_id": str(missed.id)}, "grounds": GROUNDS}
    filed = await phone.post("/appeals", json=body)
    assert (filed.status_code, filed.json()["state"]) == (201, "open"), filed.text
    path = f"/v1/appeals/{filed.json()['id']}"
    waiting = await staff.every(docket.city, "/v1/appeals", to_decide=True)
    assert [each["id"] for each in waiting] == [filed.json()["id"]]
    whole = (await staff.get(docket.city, path)).json()
    assert whole["against"]["outcomes"][-1]["outcome"] == "missed"
    assert whole["against"]["outcomes"][-1]["trace"] is not None
    assert (await staff.get(docket.registry.registrar, path)).json()["against"]["outcomes"][0][
        "trace"
    ] is None
    asked = await staff.post(docket.city, f"{path}/messages", {"text": "请补充考勤"})
    assert asked.status_code == 201, asked.text
    assert (await phone.post(f"/appeals/{filed.json()['id']}/read")).status_code == 204
    said = await staff.every(docket.city, f"{path}/messages", limit=1)
    assert [(each["seq"], each["side"], each["read_at"] is None) for each in said] == [
        (1, "appellant", True),
        (2, "unit", False),
    ]
    decision = {"upheld": True, "reasons": "考勤属实", "finding": "present"}
    decided = await staff.post(docket.city, f"{path}/decision", decision)
    assert (decided.status_code, decided.json()["state"]) == (201, "upheld"), decided.text
    mine = (await phone.get(f"/appeals/{filed.json()['id']}")).json()
    assert mine["decision"]["reasons"] == "考勤属实"
    assert mine["against"]["outcomes"][-1]["reason_zh"] == "申诉成立，结果已更正。"


async def test_a_student_carries_a_rejected_appeal_up_from_the_phone(
    docket: Docket, phone: httpx.AsyncClient
) -> None:
    change = await docket.executed()
    body = {"against": {"kind": "change", "change_id": str(change.id)}, "grounds": GROUNDS}
    first = (await phone.post("/appeals", json=body)).json()
    shown = (await phone.get(f"/appeals/{first['id']}")).json()["against"]
    assert (shown["cause"], shown["prompt_kind"]) == ("expiry", "misses")
    [filed] = await docket.listed(docket.student)
    early = await phone.post(f"/appeals/{filed}/next-level", json=GROUNDS)
    assert (early.status_code, early.json()["code"]) == (409, "previous_not_rejected")
    await docket.reject(await _view(docket))
    second = await phone.post(f"/appeals/{filed}/next-level", json=GROUNDS)
    assert (second.status_code, second.json()["level"]) == (201, 2), second.text
    taken_back = await phone.post(f"/appeals/{second.json()['id']}/withdrawal", json={})
    assert (taken_back.status_code, taken_back.json()["state"]) == (201, "withdrawn")
    first_page = (await phone.get("/appeals", params={"limit": 1})).json()
    rest = (await phone.get("/appeals", params={"limit": 1, "cursor": first_page["next_cursor"]})).json()
    assert [each["id"] for each in first_page["items"] + rest["items"]] == [second.json()["id"], str(filed)]


async def test_a_school_appeals_about_eligibility_and_counselors_are_refused(
    docket: Docket, staff: StaffClient, phone: httpx.AsyncClient
) -> None:
    await docket.executed()
    today = docket.registry.today.isoformat()
    pupil = docket.registry.pupil.id
    body: dict[str, Any] = {
        "student_id": str(pupil),
        "against": {"kind": "gaokao", "on": today},
        "grounds": GROUNDS,
    }
    filed = await staff.post(docket.registry.registrar, "/v1/appeals", body)
    assert filed.status_code == 201, filed.text
    schools = await staff.every(docket.registry.registrar, "/v1/appeals", filed_by_school=True, state="open")
    assert [each["id"] for each in schools] == [filed.json()["id"]]
    whole = (await staff.get(docket.registry.registrar, f"/v1/appeals/{filed.json()['id']}")).json()
    assert whole["against"]["reasons"][0]["code"] == "not_full_time"
    for path in ("/v1/appeals", f"/v1/appeals/{filed.json()['id']}"):
        assert (await staff.get(docket.registry.counselor, path)).status_code == 403
    mine = (await phone.get("/gaokao-eligibility", params={"on": today})).json()
    assert (mine["eligible"], mine["study_form"]) == (False, "part_time")
    asked = f"/v1/students/{pupil}/gaokao-eligibility"
    for reader in (docket.registry.counselor, docket.city, docket.registry.registrar):
        assert (await staff.get(reader, asked)).status_code == 200


async def _view(docket: Docket) -> AppealView:
    """The student's only appeal."""
    [appeal_id] = await docket.listed(docket.student)
    async with docket.registry.transaction(docket.student) as session:
        return await appeal_for(session, docket.student, appeal_id)
