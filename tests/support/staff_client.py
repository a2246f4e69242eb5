"""The staff API in the test process: real routes and database, only the sign-in is replaced.

A request names its account in a header.
"""

import json
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

from fastapi import APIRouter, Request
from httpx import ASGITransport, AsyncClient, Response

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.web.api import Api
from backend.core.web.idempotency import IdempotencyHeader, read_idempotent_request
from backend.core.web.requests import Caller
from backend.staff_api.caller import StaffCaller

ACCOUNT_HEADER = "x-test-account"


@dataclass(frozen=True, slots=True)
class StaffClient:
    """Sends requests to a set of routers as any account."""

    http: AsyncClient
    accounts: dict[UUID, Actor]

    async def get(self, actor: Actor, path: str, **params: Any) -> Response:
        return await self.http.get(path, params=params, headers=self._as(actor))

    async def post(self, actor: Actor, path: str, body: Any) -> Response:
        """Send `body` as ASCII JSON, so that invalid Unicode can be sent escaped."""
        headers = self._as(actor) | {"content-type": "application/json"}
        return await self.http.post(path, content=json.dumps(body), headers=headers)

    async def send(self, actor: Actor, method: str, path: str, **options: Any) -> Response:
        """Send a request with any body and headers; `options` are those of httpx."""
        headers = {**options.pop("headers", {}), **self._as(actor)}
        return await self.http.request(method, path, headers=headers, **options)

    async def every(self, actor: Actor, path: str, **params: Any) -> list[dict[str, Any]]:
        """Load all items of a list, page by page."""
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await self.get(actor, path, **params, **cursor)).json()
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    def _as(self, actor: Actor) -> dict[str, str]:
        self.accounts[actor.account_id] = actor
        return {ACCOUNT_HEADER: str(actor.account_id)}


def staff_client(app_context: AppContext, *routers: APIRouter) -> StaffClient:
    """A client of these routers; close its `http` when done."""
    app = Api("Staff API", app_context)
    for router in routers:
        app.include_router(router)
    accounts: dict[UUID, Actor] = {}

    async def signed_in(request: Request, key: IdempotencyHeader = None) -> Caller:
        account_id = UUID(request.headers[ACCOUNT_HEADER])
        actor = accounts[account_id]
        idempotent = await read_idempotent_request(request, key, actor)
        return Caller(app_context, actor, session_id=account_id, idempotent=idempotent)

    app.dependency_overrides[get_args(StaffCaller)[1].dependency] = signed_in
    transport = ASGITransport(app, raise_app_exceptions=False)
    return StaffClient(AsyncClient(transport=transport, base_url="http://testserver"), accounts)


def is_same_refusal(one: Response, other: Response) -> bool:
    """Whether two error responses differ only in the requested URL."""
    bodies = [answer.json() | {"instance": ""} for answer in (one, other)]
    return (one.status_code, bodies[0]) == (other.status_code, bodies[1])
