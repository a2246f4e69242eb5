"""The OpenAPI documents of the application, created without starting a server."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from starlette.routing import Mount

from backend.app import create_app
from backend.core.app_context import AppContext
from backend.core.web.api import Api
from backend.settings import Settings


@cache
def apis() -> dict[str, Api]:
    """Return both APIs by name. They have no services, so their routes cannot be called."""
    settings = Settings(env="test", database_url="", redis_url="", evidence_dir=Path(), keys_file=Path())
    app_context = cast("AppContext", SimpleNamespace(settings=settings))
    mounts = [route for route in create_app(app_context).routes if isinstance(route, Mount)]
    return {mount.path.strip("/"): mount.app for mount in mounts if isinstance(mount.app, Api)}


@cache
def document(api: str) -> dict[str, Any]:
    """Return the OpenAPI document of `staff` or `mobile`."""
    return apis()[api].openapi()


def routes(api: str) -> list[str]:
    """Return every method and path of an API."""
    paths = document(api)["paths"]
    return [f"{method.upper()} {path}" for path, operations in paths.items() for method in operations]
