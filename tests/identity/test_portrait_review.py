"""Portraits in review: reasons, a minimum size, and the registrar who decides (HN334-3.1)."""

from typing import Any

import pytest
from PIL import Image

from backend.demo.phone import Phone
from backend.identity.face.pool import face_pool
from backend.staff_api.organisation.pictures import router
from biometrics.engines.test_pattern import render_pattern
from tests.identity.test_activation import (
    PoolInProcess,
    judge_newest_portrait,
    load_open_steps,
    load_portraits,
)
from tests.support.biometrics.pictures import encode_picture, noise_picture
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.province import bureau_account, counselor_account, registrar_account
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.1")


@pytest.fixture
def pool(scenario: IdentityScenario) -> PoolInProcess:
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


@pytest.fixture
def api(scenario: IdentityScenario) -> StaffClient:
    return staff_client(scenario.app_context, router)


async def submit_for_review(scenario: IdentityScenario, picture: bytes) -> Phone:
    """The portrait of a student on the non-face route."""
    phone = await scenario.bind_phone(scenario.school.students[0])
    await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})
    assert (await phone.submit_portrait(picture)).status_code == 202
    await judge_newest_portrait(scenario, scenario.school.students[0])
    return phone


async def open_portrait(scenario: IdentityScenario, api: StaffClient) -> dict[str, Any]:
    [item] = (await api.get(registrar_account(scenario.school), "/v1/portraits")).json()["items"]
    portrait: dict[str, Any] = item
    return portrait


async def test_portrait_in_review_has_a_reason_that_student_and_registrar_read(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    phone = await submit_for_review(scenario, render_pattern(7, 1))
    own = (await phone.get("/v1/me/portrait")).json()
    assert own["state"] == "review"
    assert [each["code"] for each in own["reasons"]] == ["portrait_no_face_to_compare"]
    listed = await open_portrait(scenario, api)
    assert listed["reasons"] == own["reasons"]
    own_only = {"student_id": str(scenario.school.students[0].id), "state": "review"}
    bureau = bureau_account(scenario.world.city)
    assert (await api.get(bureau, "/v1/portraits", **own_only)).json()["items"] == [listed]
    picture = await api.get(registrar_account(scenario.school), f"/v1/portraits/{listed['id']}/picture")
    assert (picture.status_code, picture.content[:3]) == (200, b"\xff\xd8\xff")
    await api.http.aclose()


async def test_registrar_accepts_a_portrait_once(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    phone = await submit_for_review(scenario, render_pattern(7, 1))
    path = f"/v1/portraits/{(await open_portrait(scenario, api))['id']}/decision"
    body = {"accepted": True, "reasons": "与本人一致"}
    registrar = registrar_account(scenario.school)
    assert (await api.post(registrar, path, body)).json()["state"] == "accepted"
    assert (await phone.get("/v1/me/portrait")).json()["state"] == "accepted"
    again = await api.post(registrar, path, body)
    assert (again.status_code, again.json()["code"]) == (409, "portrait_decided")
    await api.http.aclose()


async def test_refused_portrait_opens_the_step_again_with_the_registrars_reasons(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    student = scenario.school.students[0]
    phone = await submit_for_review(scenario, render_pattern(7, 1))
    path = f"/v1/portraits/{(await open_portrait(scenario, api))['id']}/decision"
    body = {"accepted": False, "reasons": "不是本人"}
    assert (await api.post(registrar_account(scenario.school), path, body)).status_code == 201
    own = (await phone.get("/v1/me/portrait")).json()
    assert (own["state"], own["reasons"][-1]["zh"]) == ("refused", "不是本人")
    assert "portrait" in await load_open_steps(scenario, student)
    assert (await phone.submit_portrait(render_pattern(7, 2))).status_code == 202
    await api.http.aclose()


async def test_superiors_read_and_others_do_not_decide(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    await submit_for_review(scenario, render_pattern(7, 1))
    portrait_id = (await open_portrait(scenario, api))["id"]
    bureau = bureau_account(scenario.world.city)
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    body = {"accepted": True, "reasons": "同意"}
    assert (await api.get(bureau, "/v1/portraits")).status_code == 200
    assert (await api.get(counselor, "/v1/portraits")).status_code == 403
    assert (await api.get(counselor, f"/v1/portraits/{portrait_id}/picture")).status_code == 403
    assert (await api.post(bureau, f"/v1/portraits/{portrait_id}/decision", body)).status_code == 403
    sister = registrar_account(scenario.world.sister)
    assert (await api.post(sister, f"/v1/portraits/{portrait_id}/decision", body)).status_code == 404
    assert (await api.get(sister, f"/v1/portraits/{portrait_id}/picture")).status_code == 404
    await api.http.aclose()


@pytest.mark.parametrize(("width", "height"), [(64, 64), (232, 320), (240, 312)])
async def test_portrait_below_the_minimum_size_is_refused_at_upload(
    scenario: IdentityScenario, pool: PoolInProcess, width: int, height: int
) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})
    answer = await phone.submit_portrait(encode_picture(noise_picture(width, height), "JPEG"))
    assert (answer.status_code, problem_code(answer.text)) == (422, "image_too_small")
    assert await load_portraits(scenario, scenario.school.students[0]) == []
    least = encode_picture(Image.new("RGB", (240, 320)), "JPEG")
    assert (await phone.submit_portrait(least)).status_code == 202
