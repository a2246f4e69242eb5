"""Appeals and reasons during the cool-down of a new phone: they take effect, are marked, and the counselor is told."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import get_args

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from backend.core.ids import new_id
from backend.core.tables import OutboxEvent
from backend.core.web.problems import install_problem_handlers
from backend.core.web.requests import Caller
from backend.identity.devices.cool_down import load_cool_down_acts
from backend.identity.devices.notifications import notify_cool_down_act
from backend.identity.events import CoolDownActRecorded
from backend.identity.tables import DeviceKey
from backend.notice.tables import NoticeMessage
from mobile_api.appeals import router as appeal_router
from mobile_api.caller import PhoneCaller
from mobile_api.claims import router as claim_router
from tests.support.appeal import AppealScenario

pytestmark = [pytest.mark.clause("HN334-4.2"), pytest.mark.clause("HN334-3.1")]


@pytest.fixture
async def phone(appeals: AppealScenario) -> AsyncIterator[httpx.AsyncClient]:
    """A client signed in as the student."""
    app_context = appeals.standing_scenario.app_context
    app = FastAPI()
    app.state.app_context = app_context
    install_problem_handlers(app)
    for router in (appeal_router, claim_router):
        app.include_router(router)
    app.dependency_overrides[get_args(PhoneCaller)[1].dependency] = lambda: Caller(
        app_context, appeals.student
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver/v1/me") as client:
        yield client


async def bind_new_phone(appeals: AppealScenario, cool_down: timedelta) -> None:
    scenario, student = appeals.standing_scenario, appeals.student
    at = scenario.app_context.clock()
    async with scenario.roll_call_scenario.owner_transaction() as session:
        session.add(
            DeviceKey(
                id=new_id(),
                school_id=student.school_id,
                student_id=student.student_id,
                jkt=f"new-{new_id()}",
                public_jwk={},
                status="active",
                bound_at=at,
                cool_down_until=at + cool_down,
            )
        )


@pytest.mark.parametrize(("days", "marked"), [(3650, ["appeal", "reason_claim"]), (-1, [])])
async def test_an_appeal_and_a_reason_work_and_are_marked_during_the_cool_down(
    appeals: AppealScenario, phone: httpx.AsyncClient, days: int, marked: list[str]
) -> None:
    scenario, student_id = appeals.standing_scenario, appeals.student.student_id
    assert student_id is not None
    missed = await scenario.check(actor=appeals.province)
    await bind_new_phone(appeals, timedelta(days=days))
    claim = {"reason_code": "no_phone", "text": "手机送修"}
    filed = await phone.post(f"http://testserver/v1/roll-calls/{missed.id}/reason-claims", json=claim)
    assert filed.status_code == 201, filed.text
    body = {
        "against": {"kind": "check", "roll_call_id": str(missed.id)},
        "grounds": {"text": "当天在校实训，有考勤记录为证。"},
    }
    appealed = await phone.post("/appeals", json=body)
    assert appealed.status_code == 201, appealed.text
    async with scenario.roll_call_scenario.owner_transaction() as session:
        acts = await load_cool_down_acts(session, student_id)
        payloads = list(
            await session.scalars(
                select(OutboxEvent.payload).where(
                    OutboxEvent.name == "CoolDownActRecorded",
                    OutboxEvent.payload["student_id"].astext == str(student_id),
                )
            )
        )
    assert sorted(act.kind for act in acts) == marked
    assert sorted(payload["kind"] for payload in payloads) == marked


async def test_the_counselor_is_told_of_an_act(appeals: AppealScenario) -> None:
    scenario, student = appeals.standing_scenario, appeals.student
    assert student.student_id is not None
    assert student.school_id is not None
    event = CoolDownActRecorded(
        school_id=student.school_id,
        path=student.org_path,
        student_id=student.student_id,
        act_id=new_id(),
        kind="appeal",
    )
    at = scenario.app_context.clock()
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await notify_cool_down_act(session, event, at)
        message = await session.scalar(select(NoticeMessage).where(NoticeMessage.group_id == event.act_id))
    assert message is not None
    assert "提出申诉" in message.body_zh
