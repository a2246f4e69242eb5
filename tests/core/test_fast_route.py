"""One route served before the framework looks for it: the same answers as the usual way gives, and nothing else."""

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


class ByHand(APIRoute):
    def get_route_handler(self) -> Any:
        return self._serve

    async def _serve(self, request: Request) -> Response:
        match request.path_params["thing_id"]:
            case "missing":
                raise NotFound
            case "malformed":
                raise RequestValidationError([{"loc": ("path", "thing_id"), "msg": "no thing"}])
            case "broken":
                raise RuntimeError("nobody's business")
        body = (await request.body()).decode()
        shown = {"url": request.url.path, "root": request.scope["root_path"], "body": body}
        return JSONResponse({**shown, **request.path_params, "app": request.app.title}, 201)


async def nothing(request: Request, thing_id: UUID) -> None:
    """Never called: the route reads its request by itself."""


def made(*, ahead: bool) -> httpx.AsyncClient:
    router = APIRouter(prefix="/v1", route_class=ByHand)
    router.add_api_route("/things/{thing_id}/parts", nothing, methods=["POST"])
    above, below = FastAPI(title="above"), FastAPI(title="below")
    for each in (above, below):
        install_problem_handlers(each)
    below.include_router(router)
    (route,) = (each for each in router.routes if isinstance(each, APIRoute))
    if ahead:
        above.router.routes.append(fast_route("/below", below, route))
    above.mount("/below", below)
    transport = httpx.ASGITransport(above, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://here")


@pytest.mark.parametrize("thing", ["1", "missing", "malformed", "broken", "", "a/b", "%2F", "%E5%90%8D"])
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS", "HEAD"])
async def test_both_ways_give_the_same_answer(method: str, thing: str) -> None:
    answers = []
    for ahead in (True, False):
        async with made(ahead=ahead) as client:
            answer = await client.request(method, PATH.format(thing), content="body")
        answers.append((answer.status_code, dict(answer.headers), answer.content))
    assert answers[0] == answers[1]


async def test_the_route_is_served_without_the_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise AssertionError("the framework was asked")

    async with made(ahead=True) as client:
        monkeypatch.setattr("starlette.routing.Mount.handle", lost)
        served = await client.post(PATH.format(1))
        other = await client.get(PATH.format(1))
    assert (served.status_code, served.json()["thing_id"]) == (201, "1")
    assert other.status_code == 500
