"""A client of the staff API: activation, two-factor sign-in, and requests that renew the session."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import pyotp

PASSWORD = "演示口令-春风又绿江南岸"  # noqa: S105 - the published password of the demo
TOTP_SECONDS = 30


class UnexpectedResponse(Exception):
    """The API returned another status than the scenario expects. The demo has failed."""

    def __init__(self, response: httpx.Response) -> None:
        request = response.request
        super().__init__(
            f"{request.method} {request.url.path} → {response.status_code} {response.text[:400]}"
        )


def expect(response: httpx.Response, *statuses: int) -> Any:
    """Return the JSON of a response with one of `statuses` (by default any success), else raise UnexpectedResponse."""
    is_expected = response.status_code in statuses if statuses else response.is_success
    if not is_expected:
        raise UnexpectedResponse(response)
    return response.json() if response.content else None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a staff member needs to sign in."""

    role: str
    unit: str
    login: str
    password: str
    totp_secret: str


class StaffClient:
    """Acts as one staff account. `clock` returns seconds since the epoch."""

    def __init__(
        self, client: httpx.AsyncClient, credentials: Credentials, clock: Callable[[], float]
    ) -> None:
        self.client = client
        self.credentials = credentials
        self._clock = clock
        self._access_token: str | None = None
        self._refresh_token: str | None = None
        self._device_token: str | None = None
        self._refresh_lock = asyncio.Lock()
        self.me: dict[str, Any] = {}

    @classmethod
    async def activate(
        cls,
        client: httpx.AsyncClient,
        clock: Callable[[], float],
        role: str,
        unit: str,
        invitation: dict[str, str],
    ) -> "StaffClient":
        """Accept an invitation (password, authenticator, first code) and sign in."""
        login, code = invitation["login"], invitation["activation_code"]
        profile = {"name": f"{unit}{role}"[:60], "phone": "15400000000"}
        body = {"login": login, "activation_code": code, "password": PASSWORD, "profile": profile}
        activation = expect(await client.post("/v1/activations", json=body), 201)
        secret = pyotp.parse_uri(activation["otpauth_uri"]).secret
        staff = cls(client, Credentials(role, unit, login, PASSWORD, secret), clock)
        confirmation = {"login": login, "activation_code": code, "totp": staff.totp(steps_ago=1)}
        expect(await client.post("/v1/activations/confirmation", json=confirmation), 204)
        await staff.sign_in()
        return staff

    def totp(self, steps_ago: int = 0) -> str:
        """Return the current code, or the one of `steps_ago` steps before. Each code is accepted once."""
        return pyotp.TOTP(self.credentials.totp_secret).at(int(self._clock()) - steps_ago * TOTP_SECONDS)

    async def sign_in(self) -> None:
        """Sign in."""
        body = {"login": self.credentials.login, "password": self.credentials.password, "totp": self.totp()}
        if self._device_token is not None:
            body["device_token"] = self._device_token
        self._store_tokens(expect(await self.client.post("/v1/sessions", json=body), 201))
        self.me = expect(await self.get("/v1/me"))

    def _store_tokens(self, tokens: dict[str, Any]) -> None:
        self._access_token, self._refresh_token = tokens["access_token"], tokens["refresh_token"]
        self._device_token = tokens["device_token"] or self._device_token

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as this account. If the token has expired, refresh the session or sign in again."""
        used_token = self._access_token
        response = await self._send(method, path, options)
        if (
            response.status_code == httpx.codes.UNAUTHORIZED
            and response.json().get("code") == "token_expired"
        ):
            async with self._refresh_lock:
                if self._access_token == used_token:  # no other task has refreshed it meanwhile
                    await self.refresh_session()
            response = await self._send(method, path, options)
        return response

    async def refresh_session(self) -> None:
        refreshed = await self.client.post(
            "/v1/sessions/refresh", json={"refresh_token": self._refresh_token}
        )
        if refreshed.is_success:
            self._store_tokens(refreshed.json())
        else:
            await self.sign_in()

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        rest = dict(options)
        headers = {"Authorization": f"Bearer {self._access_token}", **rest.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **rest)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET as this account."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a POST with a JSON body as this account."""
        return await self.request("POST", path, json=body, **options)

    def stream(self, path: str) -> AbstractAsyncContextManager[httpx.Response]:
        """Open a GET with a streamed body."""
        return self.client.stream("GET", path, headers={"Authorization": f"Bearer {self._access_token}"})

    async def invite(self, kind: str, org_id: str, login: str, name: str) -> dict[str, str]:
        """Invite an account in a subordinate unit. Return the response (with the activation code) plus the login."""
        body = {"kind": kind, "org_id": org_id, "login": login, "display_name": name}
        return {**expect(await self.post("/v1/accounts", body), 201), "login": login}

    async def get_all_pages(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Return the items of all pages of a list."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = expect(await self.get(path, params={**params, **({"cursor": cursor} if cursor else {})}))
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items
