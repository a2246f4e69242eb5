"""Base class of both HTTP APIs: errors as problem documents, and an OpenAPI document that lists all of them."""

from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import APIRoute
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
    """One API with its own OpenAPI document. A path with an additional slash is not found, and not redirected."""

    def __init__(self, title: str, app_context: AppContext, security: Security | None = None) -> None:
        super().__init__(
            title=title,
            version="1",
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json",
            redirect_slashes=False,
            generate_unique_id_function=operation_id,
            dependencies=[Depends(check_request)],
        )
        self.state.app_context = app_context
        install_problem_handlers(self)
        self.add_middleware(IdempotencyMiddleware, app_context=app_context)
        self.add_exception_handler(ReplayedResponse, _replay)
        self._security = security
        self._secured_routes: list[APIRoute] = []
        self.mount(ASSETS_PATH, StaticFiles(directory=ASSETS), name="docs-assets")
        self.add_route("/docs", self._show_documents, include_in_schema=False)

    def include_endpoints(self, router: APIRouter) -> None:
        """Include a router by the prefixes of its paths, and document which sign-in its endpoints need."""
        self._secured_routes += [route for route in router.routes if isinstance(route, APIRoute)]
        self.include_router(PrefixRouter(router))

    async def _show_documents(self, request: Request) -> Response:
        """Swagger UI, with its files from this server, because a school's network may not reach others."""
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=root + "/openapi.json",
            title=self.title,
            swagger_js_url=f"{root}{ASSETS_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS_PATH}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS_PATH}/favicon.png",
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, generated once."""
        if self.openapi_schema is None:
            self.openapi_schema = complete_document(super().openapi(), self._secured_routes, self._security)
        return self.openapi_schema


async def _replay(_: Request, replayed: Exception) -> Response:
    assert isinstance(replayed, ReplayedResponse)
    return replayed.response
