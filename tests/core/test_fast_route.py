"""A route matched before the mount gives the same answers as through the mount."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from backend.core.errors import NotFound
from backend.core.web.fast_route import fast_route
from backend.core.web.problems import install_problem_handlers

PATH = "/below/v1/things/{}/parts"


class ManualParsingRoute(APIRoute):
    def get_route_handler(self) -> Any:
        return self._handle

    async def _handle(self, request: Request) -> Response:
        match request.path_params["thing_id"]:
            case "missing":
                raise NotFound
            case "malformed":
                raise RequestValidationError([{"loc": ("path", "thing_id"), "msg": "no thing"}])
            case "broken":
                raise RuntimeError("unexpected")
        body = (await request.body()).decode()
        scope = {"url": request.url.path, "root": request.scope["root_path"], "body": body}
        return JSONResponse({**scope, **request.path_params, "app": request.app.title}, 201)


async def never_called(request: Request, thing_id: UUID) -> None:
    """The route class handles requests itself."""


def make_client(*, fast: bool) -> httpx.AsyncClient:
    router = APIRouter(prefix="/v1", route_class=ManualParsingRoute)
    router.add_api_route("/things/{thing_id}/parts", never_called, methods=["POST"])
    above, below = FastAPI(title="above"), FastAPI(title="below")
    for each in (above, below):
        install_problem_handlers(each)
    below.include_router(router)
    (route,) = (each for each in router.routes if isinstance(each, APIRoute))
    if fast:
        above.router.routes.append(fast_route("/below", below, route))
    above.mount("/below", below)
    transport = httpx.ASGITransport(above, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://here")


@pytest.mark.parametrize("thing", ["1", "missing", "malformed", "broken", "", "a/b", "%2F", "%E5%90%8D"])
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS", "HEAD"])
async def test_fast_route_answers_like_the_mounted_route(method: str, thing: str) -> None:
    answers = []
    for fast in (True, False):
        async with make_client(fast=fast) as client:
            answer = await client.request(method, PATH.format(thing), content="body")
        answers.append((answer.status_code, dict(answer.headers), answer.content))
    assert answers[0] == answers[1]


async def test_fast_route_does_not_pass_the_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise AssertionError("the mount was used")

    async with make_client(fast=True) as client:
        monkeypatch.setattr("starlette.routing.Mount.handle", fail)
        served = await client.post(PATH.format(1))
        other = await client.get(PATH.format(1))
    assert (served.status_code, served.json()["thing_id"]) == (201, "1")
    assert other.status_code == 500
