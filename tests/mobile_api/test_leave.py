"""Leave over HTTP as the phone sees it; the sign-in alone is replaced, it has tests of its own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI, Request

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.web.problems import install_problem_handlers
from backend.core.web.requests import Caller
from mobile_api.caller import PhoneCaller
from mobile_api.leave import router
from tests.support.leave import LeaveScenario, create_leave_scenario

pytestmark = pytest.mark.clause("HN334-3.5a")

ACCOUNT = "x-test-account"


@dataclass(slots=True)
class Api:
    """The desk behind real routes."""

    scenario: LeaveScenario
    http: httpx.AsyncClient
    accounts: dict[str, Actor] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, actor: Actor | None = None, **options: Any
    ) -> httpx.Response:
        """As the pupil of the desk, unless another student is named."""
        actor = actor or self.scenario.student()
        self.accounts[str(actor.account_id)] = actor
        headers = {ACCOUNT: str(actor.account_id)}
        return await self.http.request(method, f"/v1{path}", headers=headers, **options)

    def body(self, first: int = 0, days: int = 1, **changes: Any) -> dict[str, Any]:
        begins = self.scenario.today + timedelta(days=first)
        asked = {
            "kind": "personal",
            "first_day": begins.isoformat(),
            "last_day": (begins + timedelta(days=days - 1)).isoformat(),
            "reason": "家中有事",
        }
        return asked | changes


@pytest.fixture
async def api(app_context: AppContext, owner: Database) -> AsyncIterator[Api]:
    scenario = await create_leave_scenario(app_context, owner)
    app = FastAPI()
    app.state.app_context = scenario.roll_call_scenario.app_context
    install_problem_handlers(app)
    app.include_router(router)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
        api = Api(scenario, http)

        def signed_in(request: Request) -> Caller:
            return Caller(scenario.roll_call_scenario.app_context, api.accounts[request.headers[ACCOUNT]])

        app.dependency_overrides[get_args(PhoneCaller)[1].dependency] = signed_in
        yield api


async def test_leave_from_request_to_return(api: Api) -> None:
    asked = await api.call("POST", "/leave-requests", json=api.body(days=2, last_half="morning"))
    assert asked.status_code == 201, asked.text
    leave = asked.json()
    assert (leave["state"], leave["decision"]) == ("pending", None)
    stored = await api.scenario.request(first=10)
    await api.scenario.decide(stored)
    shown = (await api.call("GET", f"/leave-requests/{stored.request.id}")).json()
    assert (shown["state"], shown["decision"]["outcome"]) == ("approved", "approved")
    withdrawn = await api.call("POST", f"/leave-requests/{leave['id']}/cancellation", json={})
    assert (withdrawn.status_code, withdrawn.json()["state"]) == (201, "cancelled")
    early = await api.call("POST", f"/leave-requests/{stored.request.id}/return")
    assert (early.status_code, early.json()["code"]) == (409, "leave_not_begun")
    api.scenario.set_clock(days=10, hour=15)
    back = await api.call("POST", f"/leave-requests/{stored.request.id}/return")
    assert (back.status_code, back.json()["state"]) == (201, "returned")
    listed = (await api.call("GET", "/leave-requests", params={"limit": 1})).json()
    assert [each["id"] for each in listed["items"]] == [str(stored.request.id)]
    further = {"limit": 1, "cursor": listed["next_cursor"]}
    following = (await api.call("GET", "/leave-requests", params=further)).json()
    assert ([each["id"] for each in following["items"]], following["next_cursor"]) == ([leave["id"]], None)


@pytest.mark.clause("HN334-3.5b")
async def test_days_are_shown_with_the_limit_and_a_warning(api: Api) -> None:
    await api.scenario.request_approved(days=13)
    api.scenario.set_clock(days=12)
    days = (await api.call("GET", "/me/leave-days")).json()
    assert (days["used"], days["planned"], days["cap"], days["left"], days["warning"]) == (13, 13, 15, 2, 13)
    assert "还剩 2 天" in days["sentence_zh"]
    elsewhere = await api.call("GET", "/me/leave-days", params={"on": "2001-01-01"})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "term_not_set")


@pytest.mark.clause("HN334-2.3")
async def test_leave_of_a_classmate_is_not_found(api: Api) -> None:
    stored = await api.scenario.request()
    classmate = api.scenario.student(api.scenario.school.classes[0].students[1])
    for leave_id in (stored.request.id, new_id()):
        path = f"/leave-requests/{leave_id}"
        answers = [
            await api.call("GET", path, classmate),
            await api.call("POST", f"{path}/cancellation", classmate, json={}),
            await api.call("POST", f"{path}/return", classmate),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await api.call("GET", "/leave-requests", classmate)).json()["items"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "holiday"},
        {"first_half": "evening"},
        {"first_day": "9999-12-31"},
        {"reason": " "},
        {"reason": "a\0b"},
        {"approved": True},
    ],
)
async def test_invalid_request_is_rejected(api: Api, change: dict[str, Any]) -> None:
    answer = await api.call("POST", "/leave-requests", json=api.body() | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")


async def test_rejections_say_what_to_do(api: Api) -> None:
    first = await api.call("POST", "/leave-requests", json=api.body(days=3))
    assert first.status_code == 201
    again = await api.call("POST", "/leave-requests", json=api.body(first=2))
    assert (again.status_code, again.json()["code"]) == (409, "leave_overlaps")
    turned = await api.call("POST", "/leave-requests", json=api.body(first=9, days=0))
    assert (turned.status_code, turned.json()["code"]) == (422, "leave_interval_invalid")
