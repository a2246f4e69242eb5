"""Looks at pictures of faces: each is recorded, and the student and the school read the record."""

from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity.face.pool import face_pool
from backend.identity.pictures.tables import PictureView
from backend.identity.tables import Portrait
from backend.staff_api.organisation.pictures import router
from biometrics.engines.test_pattern import render_pattern
from tests.identity.test_activation import PoolInProcess
from tests.identity.test_portrait_review import open_portrait, submit_for_review
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import bureau_account, counselor_account, registrar_account
from tests.support.staff_client import StaffClient, staff_client


@pytest.fixture
def pool(scenario: IdentityScenario) -> PoolInProcess:
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


@pytest.fixture
def api(scenario: IdentityScenario) -> StaffClient:
    return staff_client(scenario.app_context, router)


async def look_at_portrait(scenario: IdentityScenario, api: StaffClient) -> tuple[Phone, Response]:
    """A registrar looks at the portrait of the first student."""
    phone = await submit_for_review(scenario, render_pattern(7, 1))
    listed = await open_portrait(scenario, api)
    picture = await api.get(registrar_account(scenario.school), f"/v1/portraits/{listed['id']}/picture")
    return phone, picture


async def own_views(phone: Phone, **params: Any) -> dict[str, Any]:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    answer = await phone.get(f"/v1/me/picture-views?{query}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_student_reads_role_unit_time_and_purpose_of_a_look_but_no_name(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    phone, picture = await look_at_portrait(scenario, api)
    assert picture.status_code == 200
    assert picture.headers["cache-control"] == "no-store"
    [view] = (await own_views(phone))["items"]
    assert (view["kind"], view["role"], view["unit_name"]) == (
        "portrait",
        "registrar",
        scenario.school.unit.name,
    )
    assert view["purpose"]["zh"] == "核对学籍证件照"
    assert view.keys().isdisjoint({"account_id", "person"})
    await api.http.aclose()


async def test_school_and_superior_list_looks_page_by_page_and_counselors_do_not(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    phone, _ = await look_at_portrait(scenario, api)
    portrait = (await open_portrait(scenario, api))["id"]
    bureau, registrar = bureau_account(scenario.world.city), registrar_account(scenario.school)
    assert (await api.get(bureau, f"/v1/portraits/{portrait}/picture")).status_code == 200
    path = f"/v1/students/{scenario.school.students[0].id}/picture-views"
    views = await api.every(registrar, path, limit=1)
    assert [view["role"] for view in views] == ["bureau", "registrar"]
    assert views[0]["account_id"] == str(bureau.account_id)
    assert await api.every(bureau, path) == views
    first = await own_views(phone, limit=1)
    rest = await own_views(phone, limit=1, cursor=first["next_cursor"])
    assert [first["items"][0]["role"], rest["items"][0]["role"]] == ["bureau", "registrar"]
    assert rest["next_cursor"] is None
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    assert (await api.get(counselor, path)).status_code == 403
    assert (await api.get(registrar_account(scenario.world.sister), path)).status_code == 404
    await api.http.aclose()


async def test_look_at_a_lost_picture_is_recorded_too(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    phone = await submit_for_review(scenario, render_pattern(7, 1))
    listed = await open_portrait(scenario, api)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        portrait = await session.get_one(Portrait, UUID(listed["id"]))
    await scenario.app_context.evidence.delete([portrait.evidence_key])
    path = f"/v1/portraits/{listed['id']}/picture"
    assert (await api.get(registrar_account(scenario.school), path)).status_code == 410
    assert len((await own_views(phone))["items"]) == 1
    await api.http.aclose()


async def test_look_has_an_audit_entry_and_neither_can_be_changed(
    scenario: IdentityScenario, pool: PoolInProcess, api: StaffClient
) -> None:
    await look_at_portrait(scenario, api)
    student = scenario.school.students[0].id
    async with scenario.owner.transaction(Scope.none()) as session:
        entries = select(func.count()).where(
            AuditEntry.action == "PictureViewed", AuditEntry.subject_id == str(student)
        )
        assert await session.scalar(entries) == 1
    for statement in ("UPDATE picture_view SET purpose = ''", "DELETE FROM picture_view"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
                await session.execute(text(statement))
    await api.http.aclose()


async def test_student_cannot_write_a_look(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    row = PictureView(
        id=student.id,
        school_id=student.school_id,
        student_id=student.id,
        account_id=student.id,
        role="registrar",
        org_path=scenario.school.unit.path,
        kind="portrait",
        source_id=student.id,
        position=0,
        purpose="portrait_review",
        at=scenario.clock(),
    )
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with scenario.app_context.database.transaction(
            Scope.student(student.school_id, student.id)
        ) as session:
            session.add(row)
