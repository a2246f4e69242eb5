"""A browser of a staff user: keeps cookies as a browser does, and states the origin of the page in each request."""

from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from httpx import Response

from backend.staff_api.caller import COOKIE
from tests.support.identity.staff_user import PASSWORD, StaffUser

OWN_ORIGIN = "http://testserver"


@dataclass(slots=True)
class Browser:
    """A browser with one cookie jar. `origin` is None for a client that states none."""

    user: StaffUser
    origin: str | None = OWN_ORIGIN
    cookie: str | None = None
    access_token: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    """Of the newest cookie that the server set."""

    async def sign_in(self, **changes: Any) -> Response:
        body = {"login": self.user.login, "password": PASSWORD, "totp": self.user.totp()} | changes
        return await self.send("POST", "/v1/browser-sessions", json=body)

    async def refresh(self, cookie: str | None = None) -> Response:
        """Refresh with the cookie of the jar, or with another one as a second tab or a thief sends it."""
        return await self.send("POST", "/v1/browser-sessions/refresh", cookie=cookie)

    async def sign_out(self) -> Response:
        return await self.send("DELETE", "/v1/browser-sessions/current")

    async def send(self, method: str, path: str, cookie: str | None = None, **options: Any) -> Response:
        """Send a request with cookie and origin; keep the cookie and the access token of the answer."""
        sent = self.cookie if cookie is None else cookie
        headers = {} if self.origin is None else {"Origin": self.origin}
        headers |= {} if sent is None else {"Cookie": f"{COOKIE}={sent}"}
        answer = await self.user.scenario.staff.request(method, path, headers=headers, **options)
        self._keep(answer)
        return answer

    async def get(self, path: str) -> Response:
        """Send a GET with the access token."""
        headers = {"Authorization": f"Bearer {self.access_token}"}
        return await self.user.scenario.staff.get(path, headers=headers)

    def _keep(self, answer: Response) -> None:
        for header in answer.headers.get_list("set-cookie"):
            morsel = SimpleCookie(header)[COOKIE]
            self.attributes = {name: str(value) for name, value in morsel.items() if value}
            self.cookie = morsel.value if self.attributes.get("max-age") != "0" else None
        if answer.is_success and answer.content:
            self.access_token = answer.json().get("access_token", self.access_token)
