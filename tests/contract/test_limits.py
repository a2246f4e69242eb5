"""No body is read beyond its limit, with or without a declared length (OWASP ASVS 5.0, 1.4)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.core.ids import new_id
from backend.core.web.requests import BodyLimitMiddleware
from backend.staff_api.organisation.rosters import LARGER_BODIES, MAX_UPLOAD
from tests.contract.case_sender import account_kind_for
from tests.tenancy.fixtures import TenancyScenario
from tests.tenancy.openapi_documents import routes

pytestmark = pytest.mark.xdist_group("contract")  # creating the accounts takes seconds: do it in one process

JSON = {"content-type": "application/json"}


async def endless_body(pieces: int, read_pieces: list[int]) -> AsyncIterator[bytes]:
    """Megabytes of spaces, which a JSON parser would skip. Records each one that is read."""
    for _ in range(pieces):
        read_pieces.append(1)
        yield b" " * 2**20


def post_paths(api: str) -> list[str]:
    return [route.partition(" ")[2] for route in routes(api) if route.startswith("POST")]


@pytest.mark.parametrize("api", ["staff", "mobile"])
async def test_declared_length_above_the_limit_is_rejected_unread(
    scenario: TenancyScenario, api: str
) -> None:
    limit = scenario.app_context.settings.request_body_limit
    http = scenario.staff if api == "staff" else scenario.mobile
    for path in set(post_paths(api)) - set(LARGER_BODIES):
        answer = await http.post(path, content=b"", headers={**JSON, "content-length": str(limit + 1)})
        assert answer.status_code == 413, (path, answer.text)
        assert answer.json()["code"] == "body_too_large"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("api", ["staff", "mobile"])
async def test_undeclared_body_is_read_only_up_to_the_limit(scenario: TenancyScenario, api: str) -> None:
    limit = scenario.app_context.settings.request_body_limit
    route = "POST /v1/accounts" if api == "staff" else "POST /v1/me/record/checks"
    read_pieces: list[int] = []
    person = scenario.clients[account_kind_for(api, route)]
    content = endless_body(4 * limit // 2**20, read_pieces)
    answer = await person.request("POST", route.partition(" ")[2], content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert len(read_pieces) == limit // 2**20 + 1


@pytest.mark.parametrize("route", LARGER_BODIES)
async def test_roster_upload_has_its_own_larger_limit(scenario: TenancyScenario, route: str) -> None:
    headers = {"content-length": str(MAX_UPLOAD + 1)}
    path = f"{route}?file_name=a.csv"
    rejected = await scenario.clients["registrar"].request("POST", path, content=b"", headers=headers)
    assert (rejected.status_code, rejected.json()["code"]) == (413, "body_too_large")
    within = b"x" * (scenario.app_context.settings.request_body_limit + 1)
    assert (await scenario.clients["registrar"].request("POST", path, content=within)).status_code == 422


async def test_picture_upload_without_length_is_cut_off(scenario: TenancyScenario) -> None:
    read_pieces: list[int] = []
    headers = {"content-type": "multipart/form-data; boundary=x"}
    limit = scenario.app_context.settings.request_body_limit
    content = endless_body(2 * limit // 2**20, read_pieces)
    answer = await scenario.phone.post("/v1/me/portrait", content=content, headers=headers)
    assert answer.status_code == 413
    assert len(read_pieces) <= limit // 2**20 + 1


@pytest.mark.parametrize("declared", ["", "x", "-1", "٣", "1e9", "9" * 5000])
async def test_invalid_content_length_does_not_bypass_the_limit(declared: str) -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise AssertionError("more than the limit was passed on")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"xx", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", declared.encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/{new_id()}",
        "headers": headers,
        "query_string": b"",
    }
    await BodyLimitMiddleware(app, 1, {})(
        scope | {"server": ("testserver", 80), "scheme": "http"}, receive, send
    )
    assert sent[0]["status"] == 413
