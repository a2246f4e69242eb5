"""A passkey of Chromium's own authenticator, and the cookie of a browser session on `http://localhost`."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page

from backend.demo.staff import StaffClient
from backend.demo.staff import expect as succeed
from tests.e2e.system import System

CREATE = """async options => (await navigator.credentials.create({
  publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
})).toJSON()"""
GET = """async options => (await navigator.credentials.get({
  publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
})).toJSON()"""
SEND = """async ([method, path, body]) => {
  const options = body === null ? { method } : {
    method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  };
  const answer = await fetch(`/staff/v1${path}`, options);
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}"""


@pytest.fixture
async def page(browser: Browser, system: System) -> AsyncIterator[Page]:
    """A page of the deployment under its name, with an authenticator that verifies its owner."""
    context = await browser.new_context(base_url=f"http://localhost:{urlsplit(system.url).port}")
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    await page.goto("/c/")
    yield page
    await context.close()


async def send(page: Page, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request from the page, with its cookies and its origin."""
    answer = await page.evaluate(SEND, [method, path, body])
    return answer["status"], answer["body"]


async def register(page: Page, staff: StaffClient) -> dict[str, Any]:
    """Register a passkey of the page's authenticator, confirmed by a code."""
    options = succeed(await staff.post("/v1/me/passkeys/registration-challenges"))
    credential = await page.evaluate(CREATE, options)
    body = {"name": "办公室电脑", "credential": credential, "totp": staff.totp(steps_ago=-1)}
    registered: dict[str, Any] = succeed(await staff.post("/v1/me/passkeys", body), 201)
    return registered


async def test_passkey_signs_in_and_the_cookie_keeps_the_session(page: Page, system: System) -> None:
    staff = system.organisation.schools[-1].registrar
    passkey = await register(page, staff)
    assert passkey["name"] == "办公室电脑"

    status, options = await send(page, "POST", "/passkey-challenges")
    assert (status, options["rpId"]) == (200, "localhost")
    body = {"credential": await page.evaluate(GET, options)}
    status, tokens = await send(page, "POST", "/browser-sessions/passkey", body)
    assert status == 201, tokens
    assert await page.evaluate("document.cookie") == ""

    await page.reload()
    status, tokens = await send(page, "POST", "/browser-sessions/refresh")
    assert status == 200, tokens
    assert tokens["access_token"]

    status, _ = await send(page, "DELETE", "/browser-sessions/current")
    assert status == 204
    status, problem = await send(page, "POST", "/browser-sessions/refresh")
    assert (status, problem["code"]) == (401, "token_missing")
