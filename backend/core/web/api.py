"""Base class of both HTTP APIs: errors as problem documents, and an OpenAPI document that lists all of them."""

from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse
from starlette.routing import Match, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from backend.core.app_context import AppContext
from backend.core.web.idempotency import IdempotencyMiddleware, ReplayedResponse
from backend.core.web.openapi import Security, complete_document
from backend.core.web.problems import install_problem_handlers
from backend.core.web.request_checks import check_request

ASSETS = Path(fastapi_offline.__file__).parent / "static"
"""Swagger UI, as the package distributes it."""
ASSETS_PATH = "/docs/assets"
START_PATH = "/docs/start.js"
_PAGE = """\
<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{assets}/favicon.png">
<link rel="stylesheet" href="{assets}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{assets}/swagger-ui-bundle.js"></script>
<script src="{start}"></script>
</body>
</html>
"""
"""FastAPI's own page starts Swagger UI in an inline script, which the content security policy forbids."""
_START = """\
SwaggerUIBundle({
  url: new URL('../openapi.json', document.currentScript.src).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
})
"""


def operation_id(route: APIRoute) -> str:
    """The operation id of a route: the name of its function in camelCase, `list_terms` → `listTerms`.

    Clients name their functions after it, so a change of a route function's name is a change of the API.
    """
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


class PrefixRouter(APIRouter):
    """A router that tries its routes only for a path that starts like one of them.

    FastAPI tries every route of every router until one matches, which took a third of a small request's time.
    """

    def __init__(self, router: APIRouter) -> None:
        super().__init__(routes=router.routes)
        paths = (route.path for route in router.routes if isinstance(route, Route))
        self._prefixes = tuple({path.partition("{")[0] for path in paths})

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        return super().matches(scope) if path.startswith(self._prefixes) else (Match.NONE, {})


class Api(FastAPI):
    """One API with its own OpenAPI document. A path with an additional slash is not found, and not redirected.

    Without a context it serves no request and only has its document.
    """

    def __init__(
        self, title: str, app_context: AppContext | None = None, security: Security | None = None
    ) -> None:
        has_documents = app_context is not None and app_context.settings.serves_documents
        super().__init__(
            title=title,
            version="1",
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json" if has_documents else None,
            redirect_slashes=False,
            generate_unique_id_function=operation_id,
            dependencies=[Depends(check_request)],
        )
        self.state.app_context = app_context
        install_problem_handlers(self)
        if app_context is not None:
            self.add_middleware(IdempotencyMiddleware, app_context=app_context)
        self.add_exception_handler(ReplayedResponse, _replay)
        self._security = security
        self._secured_routes: list[APIRoute] = []
        if has_documents:
            self.mount(ASSETS_PATH, StaticFiles(directory=ASSETS), name="docs-assets")
            self.add_route(START_PATH, _start_documents, include_in_schema=False)
            self.add_route("/docs", self._show_documents, include_in_schema=False)

    def include_endpoints(self, router: APIRouter) -> None:
        """Include a router by the prefixes of its paths, and document which sign-in its endpoints need."""
        self._secured_routes += [route for route in router.routes if isinstance(route, APIRoute)]
        self.include_router(PrefixRouter(router))

    async def _show_documents(self, request: Request) -> Response:
        """Swagger UI, with its files from this server, because a school's network may not reach others."""
        root = request.scope.get("root_path", "")
        page = _PAGE.format(title=self.title, assets=root + ASSETS_PATH, start=root + START_PATH)
        return HTMLResponse(page)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, generated once."""
        if self.openapi_schema is None:
            self.openapi_schema = complete_document(super().openapi(), self._secured_routes, self._security)
        return self.openapi_schema


async def _start_documents(_: Request) -> Response:
    return Response(_START, media_type="text/javascript")


async def _replay(_: Request, replayed: Exception) -> Response:
    assert isinstance(replayed, ReplayedResponse)
    return replayed.response
