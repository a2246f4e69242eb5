"""The OpenAPI documents of the application, created without starting a server."""

from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from starlette.routing import Mount

from backend.app import create_app
from backend.core.app_context import AppContext
from backend.core.web.api import Api


@cache
def apis() -> dict[str, Api]:
    """Return both APIs by name. They have no services, so their routes cannot be called."""
    app_context = cast(
        "AppContext", SimpleNamespace(settings=SimpleNamespace(request_body_limit=0, trusted_proxies=""))
    )
    mounts = [route for route in create_app(app_context).routes if isinstance(route, Mount)]
    return {mount.path.strip("/"): cast("Api", mount.app) for mount in mounts}


@cache
def document(api: str) -> dict[str, Any]:
    """Return the OpenAPI document of `staff` or `mobile`."""
    return apis()[api].openapi()


def routes(api: str) -> list[str]:
    """Return every method and path of an API."""
    paths = document(api)["paths"]
    return [f"{method.upper()} {path}" for path, operations in paths.items() for method in operations]
