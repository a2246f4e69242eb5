"""Base class of both HTTP APIs: errors as problem documents, and an OpenAPI document that lists all of them."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from backend.core.app_context import AppContext
from backend.core.web.idempotency import IdempotencyMiddleware, ReplayedResponse
from backend.core.web.problems import Problem, install_problem_handlers, problem_responses
from backend.core.web.request_checks import check_request

EXAMPLE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_VALIDATION = ("HTTPValidationError", "ValidationError")


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

    def __init__(self, title: str, app_context: AppContext) -> None:
        super().__init__(
            title=title,
            version="1",
            docs_url="/docs",
            redoc_url=None,
            openapi_url="/openapi.json",
            redirect_slashes=False,
            dependencies=[Depends(check_request)],
        )
        self.state.app_context = app_context
        install_problem_handlers(self)
        self.add_middleware(IdempotencyMiddleware, app_context=app_context)
        self.add_exception_handler(ReplayedResponse, _replay)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, generated once."""
        if self.openapi_schema is None:
            self.openapi_schema = complete_document(super().openapi())
        return self.openapi_schema


async def _replay(_: Request, replayed: Exception) -> Response:
    assert isinstance(replayed, ReplayedResponse)
    return replayed.response


def complete_document(document: dict[str, Any]) -> dict[str, Any]:
    """Add problem responses for errors that FastAPI raises itself, and an example for each request body."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for operations in document["paths"].values():
        for method, operation in operations.items():
            _complete_operation(operation, schemas)
            if method != "post":  # every staff endpoint reads the header, but it has a meaning for POST only
                _remove_parameter(operation, "Idempotency-Key")
    for name in _VALIDATION:
        schemas.pop(name, None)
    return document


def _remove_parameter(operation: dict[str, Any], name: str) -> None:
    if "parameters" in operation:
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != name]


def _complete_operation(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    responses = operation["responses"]
    statuses: list[int] = []
    if "422" in responses:
        statuses.append(422)
    if "requestBody" in operation:
        statuses += [400, 413, 415]
        body = operation["requestBody"]["content"].get("application/json")
        if body is not None:
            body["example"] = example_of(body["schema"], schemas)
    common = {str(status): response for status, response in problem_responses(*statuses).items()}
    operation["responses"] = dict(sorted((responses | common).items()))


class ExampleMissing(LookupError):
    """A field of a request body has no example, and its type gives none."""


def example_of(schema: dict[str, Any], schemas: dict[str, Any], name: str = "body") -> Any:
    """An example of a request schema, built from the examples of its fields. Raises `ExampleMissing`."""
    for key in ("examples", "enum"):
        if key in schema:
            return schema[key][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    choices = schema.get("oneOf", schema.get("anyOf"))
    return (
        _example_of_type(schema, schemas, name) if choices is None else example_of(choices[0], schemas, name)
    )


def _example_of_type(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    match schema:
        case {"type": "object"}:
            return _object_example(schema, schemas)
        case {"type": "array", "items": items}:
            return [example_of(items, schemas, name)]
        case {"type": "boolean"}:
            return True
        case {"type": "string", "format": "uuid"}:
            return EXAMPLE_ID
    raise ExampleMissing(name)


def _object_example(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The required fields, and optional ones that have their own example."""
    fields = schema.get("properties", {})
    required = schema.get("required", ())
    shown = {name: each for name, each in fields.items() if name in required or each.get("examples")}
    return {name: example_of(each, schemas, name) for name, each in shown.items()}
