"""Security headers and the date of every answer, set in one place."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    "media-src 'self' blob:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
)
CONTENT_SECURITY_POLICY = "; ".join(_DIRECTIVES)
"""Pages load everything from this server, and no inline script or style."""

_PERMISSIONS = (
    "camera=(self)",
    "geolocation=(self)",
    "publickey-credentials-create=(self)",
    "publickey-credentials-get=(self)",
    "screen-wake-lock=(self)",
    "browsing-topics=()",
    "display-capture=()",
    "microphone=()",
    "payment=()",
    "usb=()",
)
PERMISSIONS_POLICY = ", ".join(_PERMISSIONS)
"""A check-in needs camera and position; nothing embeds these pages."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": PERMISSIONS_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=31536000"
"""A year. Subdomains are the operator's to decide."""


class SecurityHeadersMiddleware:
    """Adds the headers that an answer does not set itself.

    `Date` is the time of `clock`, by which proofs and deadlines are judged: phones set their own clock by it, and a
    demonstration may advance it. The server must not add a date of its own (`backend.core.web.server`).

    Answers below `private_prefixes` contain personal data: no browser or proxy may keep them (RFC 9111, 5.2.2.5).
    """

    def __init__(
        self, app: ASGIApp, *, https: bool, private_prefixes: tuple[str, ...], clock: Callable[[], datetime]
    ) -> None:
        self._app, self._private_prefixes, self._clock = app, private_prefixes, clock
        self._headers = {**_HEADERS, **({"Strict-Transport-Security": _HSTS} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        private = scope["path"].startswith(self._private_prefixes)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Date", format_datetime(self._clock().astimezone(UTC), usegmt=True))
                if private:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
