"""Every answer has the security headers, and no answer with personal data may be cached."""

from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from httpx import ASGITransport, AsyncClient

from backend.app import create_app
from backend.core.app_context import AppContext
from backend.core.web.security_headers import CONTENT_SECURITY_POLICY
from backend.settings import Settings


def client_of(app_context: AppContext, **changes: object) -> AsyncClient:
    """A client of an application with changed settings."""
    changed = AppContext(
        settings=app_context.settings.model_copy(update=changes),
        database=app_context.database,
        redis=app_context.redis,
        keys=app_context.keys,
        evidence=app_context.evidence,
    )
    transport = ASGITransport(create_app(changed))
    return AsyncClient(transport=transport, base_url="http://testserver")


@pytest.fixture
async def client(app_context: AppContext) -> AsyncIterator[AsyncClient]:
    async with client_of(app_context) as client:
        yield client


@pytest.mark.parametrize("path", ["/healthz", "/staff/v1/units", "/mobile/v1/me", "/staff/docs", "/nowhere"])
async def test_every_answer_has_the_security_headers(client: AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    permissions = headers["permissions-policy"].split(", ")
    assert {"camera=(self)", "geolocation=(self)", "publickey-credentials-get=(self)"} <= set(permissions)
    assert "microphone=()" in permissions


async def test_the_date_is_that_of_the_systems_clock(app_context: AppContext) -> None:
    """Phones set their clock by it, also where a demonstration has advanced the time."""
    later = AppContext(
        settings=app_context.settings,
        database=app_context.database,
        redis=app_context.redis,
        keys=app_context.keys,
        evidence=app_context.evidence,
        clock=lambda: datetime(2027, 3, 1, 8, 30, tzinfo=ZoneInfo("Asia/Shanghai")),
    )
    async with AsyncClient(
        transport=ASGITransport(create_app(later)), base_url="http://testserver"
    ) as client:
        answer = await client.get("/nowhere")
    assert answer.headers.get_list("date") == ["Mon, 01 Mar 2027 00:30:00 GMT"]


def test_the_policy_allows_no_inline_script_and_no_other_origin() -> None:
    directives = dict(each.split(" ", 1) for each in CONTENT_SECURITY_POLICY.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY


async def test_hsts_is_sent_only_where_clients_use_https(
    app_context: AppContext, client: AsyncClient
) -> None:
    assert "strict-transport-security" not in (await client.get("/healthz")).headers
    async with client_of(app_context, public_url="https://dm.example") as secure:
        assert (await secure.get("/healthz")).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/staff/v1/units", "/mobile/v1/me", "/mobile/v1/roll-calls"])
async def test_answers_of_the_apis_are_not_stored(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("api", ["staff", "mobile"])
async def test_documents_are_closed_in_production_unless_switched_on(
    app_context: AppContext, api: str
) -> None:
    paths = [
        f"/{api}/{name}" for name in ("docs", "docs/start.js", "docs/assets/swagger-ui.css", "openapi.json")
    ]
    for changes, status in (
        ({"env": "production"}, 404),
        ({"env": "production", "api_documents": True}, 200),
        ({"env": "development"}, 200),
    ):
        async with client_of(app_context, **changes) as client:
            assert {(await client.get(path)).status_code for path in paths} == {status}, changes


@pytest.mark.parametrize("api", ["staff", "mobile"])
async def test_document_page_has_no_inline_script_or_style(client: AsyncClient, api: str) -> None:
    page = (await client.get(f"/{api}/docs")).text
    assert page.count("<script") == page.count("<script src=") == 2
    assert "<style" not in page
    assert "style=" not in page
    start = await client.get(f"/{api}/docs/start.js")
    assert start.headers["content-type"].startswith("text/javascript")
    assert "SwaggerUIBundle(" in start.text


def test_web_directory_is_that_of_the_checkout_by_default(settings: Settings) -> None:
    assert settings.web_directory.parts[-2:] == ("web", "dist")
