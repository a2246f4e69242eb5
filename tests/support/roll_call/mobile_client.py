"""A client of the mobile roll call API. Only the envelope route authenticates for real; the others use a header."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import httpx
from fastapi import FastAPI, Request

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.web.problems import install_problem_handlers
from backend.core.web.requests import Caller
from backend.identity.sign_in.access_tokens import issue_phone_token
from backend.roll_call.envelope import TYPE
from biometrics.pool import FacePool
from mobile_api import envelopes
from mobile_api.caller import PhoneCaller
from mobile_api.roll_calls import router
from tests.support.roll_call import student_phone
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.roll_call.student_phone import StudentWithPhone

ACCOUNT = "x-test-account"


def envelope_path(roll_call_id: UUID) -> str:
    """The path of the envelopes of a roll call."""
    return f"/v1/roll-calls/{roll_call_id}/envelopes"


@dataclass(slots=True)
class MobileClient:
    """Calls the roll call routes of a scenario as a student."""

    scenario: RollCallScenario
    http: httpx.AsyncClient
    accounts: dict[str, Actor] = field(default_factory=dict)
    frames: list[bytes] = field(default_factory=list)
    """The frames that the newest envelope declared."""

    async def call(self, actor: Actor, method: str, path: str, **options: Any) -> httpx.Response:
        self.accounts[str(actor.account_id)] = actor
        headers = {**options.pop("headers", {}), ACCOUNT: str(actor.account_id)}
        return await self.http.request(method, f"/v1{path}", headers=headers, **options)

    async def get(self, student: StudentWithPhone, path: str, **options: Any) -> httpx.Response:
        return await self.call(student.actor, "GET", path, **options)

    async def challenge(self, student: StudentWithPhone, roll_call_id: UUID, **body: Any) -> httpx.Response:
        path = f"/roll-calls/{roll_call_id}/challenges"
        return await self.call(student.actor, "POST", path, **({"json": body} if body else {}))

    async def envelope(
        self, student: StudentWithPhone, roll_call_id: UUID, compact: str, **more: Any
    ) -> httpx.Response:
        """Post an envelope with a real access token and DPoP proof."""
        path, token = envelope_path(roll_call_id), self.issue_token(student)
        headers = {"Authorization": f"DPoP {token}", "DPoP": student.phone.proof("POST", path, token)}
        return await self.http.post(path, headers=headers, json={"envelope": compact, **more})

    async def envelope_alone(
        self, student: StudentWithPhone, roll_call_id: UUID, compact: str, **more: Any
    ) -> httpx.Response:
        """Post an envelope without a DPoP proof, with the newest access token of the student's phone."""
        headers = {"Authorization": f"DPoP {student.phone.token}"}
        body = {"envelope": compact, **more}
        return await self.http.post(envelope_path(roll_call_id), headers=headers, json=body)

    def issue_token(self, student: StudentWithPhone) -> str:
        """Give the student's phone a new access token, and the clock of the scenario."""
        at, phone = self.scenario.clock(), student.phone
        phone.clock = at.timestamp
        keys, life = self.scenario.app_context.keys, timedelta(minutes=10)
        phone.token = issue_phone_token(keys, student.actor.account_id, phone.thumbprint, at, life).value
        return phone.token

    async def frame(
        self, student: StudentWithPhone, submission_id: str, position: int, data: bytes
    ) -> httpx.Response:
        path = f"/submissions/{submission_id}/frames/{position}"
        return await self.call(student.actor, "PUT", path, content=data)

    async def signed(self, student: StudentWithPhone, roll_call_id: UUID, **changes: Any) -> str:
        nonce = await self._perform(student, roll_call_id)
        return student_phone.envelope(student, roll_call_id, nonce, self.frames, **changes)

    async def signed_with_proof(
        self, student: StudentWithPhone, roll_call_id: UUID, /, **changes: Any
    ) -> str:
        """Sign an envelope that carries its proof, for a new access token. `changes` replace its fields and claims."""
        nonce = await self._perform(student, roll_call_id)
        self.issue_token(student)
        content = student_phone.make_envelope_content(roll_call_id, nonce, self.frames, **changes)
        return student.phone.sign_with_proof(content, envelope_path(roll_call_id), typ=TYPE)

    async def _perform(self, student: StudentWithPhone, roll_call_id: UUID) -> str:
        """Request a challenge and render its frames; returns the nonce."""
        answer = await self.challenge(student, roll_call_id)
        assert answer.status_code == 201, answer.text
        self.frames = student_phone.render_actions(
            student.person, [each["action"] for each in answer.json()["actions"]]
        )
        nonce: str = answer.json()["nonce"]
        return nonce

    async def submitted(self, student: StudentWithPhone, roll_call_id: UUID, **changes: Any) -> str:
        compact = await self.signed(student, roll_call_id, **changes)
        answer = await self.envelope(student, roll_call_id, compact)
        assert answer.status_code == 201, answer.text
        submission_id: str = answer.json()["submission_id"]
        return submission_id


@asynccontextmanager
async def open_mobile_client(
    app_context: AppContext, owner: Database, pool: FacePool | None = None
) -> AsyncIterator[MobileClient]:
    """Create a scenario and a client of its routes."""
    scenario = await create_scenario(app_context, owner, pool)
    app = FastAPI()
    app.state.app_context = scenario.app_context
    install_problem_handlers(app)
    app.include_router(router)
    app.include_router(envelopes.router)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
        api = MobileClient(scenario, http)

        def signed_in(request: Request) -> Caller:
            return Caller(scenario.app_context, api.accounts[request.headers[ACCOUNT]])

        app.dependency_overrides[get_args(PhoneCaller)[1].dependency] = signed_in
        yield api


@asynccontextmanager
async def create_mobile_http(app_context: AppContext, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client of the roll call routes, signed in as one student."""
    app = FastAPI()
    app.state.app_context = app_context
    install_problem_handlers(app)
    app.include_router(router)
    app.dependency_overrides[get_args(PhoneCaller)[1].dependency] = lambda: Caller(app_context, actor)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as http:
        yield http
