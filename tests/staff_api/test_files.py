"""Attachments over HTTP: types, sizes, and safe downloads."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from httpx import Response

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.leave.stand_ins import NameStandIn, name_stand_in
from backend.people.attachment_files import FileContent, store_upload
from backend.people.attachments import AttachmentSubject, attach_files
from backend.staff_api.files import router
from tests.support.leave import LeaveScenario, create_leave_scenario
from tests.support.staff_client import StaffClient, staff_client

PDF = b"%PDF-1.7\n<script>alert(1)</script>\n%%EOF\n"


@pytest.fixture
async def desk(app_context: AppContext, owner: Database) -> LeaveScenario:
    return await create_leave_scenario(app_context, owner)


@pytest.fixture
async def api(desk: LeaveScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(desk.roll_call_scenario.app_context, router)
    async with client.http:
        yield client


async def upload(api: StaffClient, actor: Actor, desk: LeaveScenario, data: Any, media: str) -> Response:
    headers = api._as(actor) | {"content-type": media}
    params = {"student_id": str(desk.pupil.id)}
    return await api.http.post("/v1/attachments", params=params, content=data, headers=headers)


async def test_a_file_is_returned_as_a_download(api: StaffClient, desk: LeaveScenario) -> None:
    counselor = desk.counselor
    kept = await upload(api, counselor, desk, PDF, "application/pdf")
    assert kept.status_code == 201, kept.text
    answer = await api.get(counselor, f"/v1/attachments/{kept.json()['id']}")
    assert (answer.status_code, answer.content) == (200, PDF)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("data", "media", "status", "code"),
    [
        (b"<svg onload='alert(1)'/>", "image/svg+xml", 415, "attachment_type_refused"),
        (PDF, "image/png", 415, "attachment_type_refused"),
        (PDF[:-7], "application/pdf", 422, "attachment_unreadable"),
        (PDF + b" " * 8 * 2**20, "application/pdf", 413, "body_too_large"),
    ],
)
async def test_an_invalid_upload_is_refused_with_a_reason(
    api: StaffClient, desk: LeaveScenario, data: bytes, media: str, status: int, code: str
) -> None:
    answer = await upload(api, desk.counselor, desk, data, media)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_stand_in_reads_files_of_leave_only(api: StaffClient, desk: LeaveScenario) -> None:
    colleague = await desk.roll_call_scenario.account("counselor", desk.school, desk.school.classes[1])
    assert colleague.counselor_id is not None
    arrangement = NameStandIn(colleague.counselor_id, desk.at, desk.at + timedelta(days=3))
    actor, app_context, scan = (
        desk.student(),
        desk.roll_call_scenario.app_context,
        FileContent("application/pdf", PDF),
    )
    found = {}
    for subject_type in ("leave_request", "reason_claim"):
        kept = await store_upload(app_context, actor, desk.pupil.id, scan, desk.at)
        to = AttachmentSubject(subject_type, new_id(), desk.school.id, desk.pupil.id)
        async with desk.transaction(actor) as session:
            await attach_files(session, actor, [kept.id], to, desk.at)
        found[subject_type] = f"/v1/attachments/{kept.id}"
    for path in found.values():
        assert (await api.get(colleague, path)).status_code == 404
    counselor = desk.counselor
    async with desk.transaction(counselor) as session:
        await name_stand_in(session, counselor, arrangement, desk.at)
    assert (await api.get(colleague, found["leave_request"])).status_code == 200
    assert (await api.get(colleague, found["reason_claim"])).status_code == 404
