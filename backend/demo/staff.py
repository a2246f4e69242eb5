"""A staff member's client: activation, sign-in with two factors, and requests that stay signed in."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import pyotp

PASSWORD = "演示口令-春风又绿江南岸"  # noqa: S105 - the demonstration's published password
TOTP_SECONDS = 30


class UnexpectedAnswer(Exception):
    """The API answered otherwise than the story says; the demonstration has failed."""

    def __init__(self, response: httpx.Response) -> None:
        request = response.request
        super().__init__(
            f"{request.method} {request.url.path} → {response.status_code} {response.text[:400]}"
        )


def expect(response: httpx.Response, *statuses: int) -> Any:
    """The JSON of an answer with one of the expected statuses (any success if none is given)."""
    fine = response.status_code in statuses if statuses else response.is_success
    if not fine:
        raise UnexpectedAnswer(response)
    return response.json() if response.content else None


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a person needs to sign in."""

    role: str
    unit: str
    login: str
    password: str
    totp_secret: str


class Staff:
    """One account on a console. `clock` gives seconds since the epoch."""

    def __init__(self, client: httpx.AsyncClient, sign_in: SignIn, clock: Callable[[], float]) -> None:
        self.client = client
        self.sign_in = sign_in
        self._clock = clock
        self._access: str | None = None
        self._refresh: str | None = None
        self._renewing = asyncio.Lock()
        self.me: dict[str, Any] = {}

    @classmethod
    async def activate(
        cls,
        client: httpx.AsyncClient,
        clock: Callable[[], float],
        role: str,
        unit: str,
        invitation: dict[str, str],
    ) -> "Staff":
        """Accept an invitation: password, authenticator, first code; then sign in."""
        login, code = invitation["login"], invitation["activation_code"]
        profile = {"name": f"{unit}{role}"[:60], "phone": "15400000000"}
        body = {"login": login, "activation_code": code, "password": PASSWORD, "profile": profile}
        begun = expect(await client.post("/v1/activations", json=body), 201)
        secret = pyotp.parse_uri(begun["otpauth_uri"]).secret
        staff = cls(client, SignIn(role, unit, login, PASSWORD, secret), clock)
        confirmation = {"login": login, "activation_code": code, "totp": staff.totp(earlier=1)}
        expect(await client.post("/v1/activations/confirmation", json=confirmation), 204)
        await staff.open()
        return staff

    def totp(self, earlier: int = 0) -> str:
        """The code of now, or of `earlier` steps before (each code takes effect once)."""
        return pyotp.TOTP(self.sign_in.totp_secret).at(int(self._clock()) - earlier * TOTP_SECONDS)

    async def open(self) -> None:
        """Sign in."""
        body = {"login": self.sign_in.login, "password": self.sign_in.password, "totp": self.totp()}
        self._keep(expect(await self.client.post("/v1/sessions", json=body), 201))
        self.me = expect(await self.get("/v1/me"))

    def _keep(self, tokens: dict[str, Any]) -> None:
        self._access, self._refresh = tokens["access_token"], tokens["refresh_token"]

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request as this account; an expired token is refreshed, and after a long absence signed in for anew."""
        used = self._access
        response = await self._send(method, path, options)
        if (
            response.status_code == httpx.codes.UNAUTHORIZED
            and response.json().get("code") == "token_expired"
        ):
            async with self._renewing:
                if self._access == used:  # nobody else has renewed it meanwhile
                    await self._renew()
            response = await self._send(method, path, options)
        return response

    async def _renew(self) -> None:
        refreshed = await self.client.post("/v1/sessions/refresh", json={"refresh_token": self._refresh})
        if refreshed.is_success:
            self._keep(refreshed.json())
        else:
            await self.open()

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        rest = dict(options)
        headers = {"Authorization": f"Bearer {self._access}", **rest.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **rest)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET as this account."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """A POST of JSON as this account."""
        return await self.request("POST", path, json=body, **options)

    def stream(self, path: str) -> AbstractAsyncContextManager[httpx.Response]:
        """A GET whose body arrives piece by piece."""
        return self.client.stream("GET", path, headers={"Authorization": f"Bearer {self._access}"})

    async def invite(self, kind: str, org_id: str, login: str, name: str) -> dict[str, str]:
        """Invite an account below; the answer carries the activation code and the login."""
        body = {"kind": kind, "org_id": org_id, "login": login, "display_name": name}
        return {**expect(await self.post("/v1/accounts", body), 201), "login": login}

    async def pages(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a paged list."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = expect(await self.get(path, params={**params, **({"cursor": cursor} if cursor else {})}))
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items
