"""The OpenAPI documents of the application, made without a process to serve them."""

from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from starlette.routing import Mount

from backend.app import create_app
from backend.core.app_context import AppContext
from backend.core.web.api import Api


@cache
def apis() -> dict[str, Api]:
    """Both APIs by name; nothing of theirs can be called."""
    app_context = cast("AppContext", SimpleNamespace(settings=SimpleNamespace(request_body_limit=0)))
    mounts = [route for route in create_app(app_context).routes if isinstance(route, Mount)]
    return {mount.path.strip("/"): cast("Api", mount.app) for mount in mounts}


@cache
def document(api: str) -> dict[str, Any]:
    """The OpenAPI document of `staff` or `mobile`."""
    return apis()[api].openapi()


def routes(api: str) -> list[str]:
    """Every method and path of an API."""
    paths = document(api)["paths"]
    return [f"{method.upper()} {path}" for path, operations in paths.items() for method in operations]
