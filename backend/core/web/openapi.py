"""Completes the OpenAPI documents: problem responses, examples of bodies, and security schemes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from backend.core.web.problems import Problem, problem_responses

IDEMPOTENCY_HEADER = "Idempotency-Key"
EXAMPLE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_PAGE = re.compile(r"\b(?:Counted)?Page_(\w+)_$")
_VALIDATION = ("HTTPValidationError", "ValidationError")


Requirement = dict[str, list[str]]
"""A security requirement of OpenAPI: the schemes that a request must satisfy together."""
Alternatives = tuple[Requirement, ...]
"""Requirements of which a request must satisfy one."""


@dataclass(frozen=True, slots=True)
class Security:
    """The security schemes of an API, and which dependency of a route requires which of them."""

    schemes: Mapping[str, dict[str, str]] = field(default_factory=dict)
    required_by: dict[Callable[..., Any], Alternatives] = field(default_factory=dict)
    """By dependency, or by endpoint for one that authenticates its requests itself."""
    parameters: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """By scheme, the header parameter that carries it, listed with the operations for tools that ignore schemes."""

    def requirements_of(self, route: APIRoute) -> Alternatives:
        """The requirements of the first dependency of a route that has some; empty if it needs no sign-in."""
        return next(
            (self.required_by[call] for call in _iter_calls(route.dependant) if call in self.required_by),
            (),
        )


def _iter_calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for dependency in dependant.dependencies:
        yield from _iter_calls(dependency)


def complete_document(
    document: dict[str, Any], routes: Sequence[APIRoute] = (), security: Security | None = None
) -> dict[str, Any]:
    """Add problem responses for errors that FastAPI raises itself, examples of bodies, and security requirements."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
    for operations in document["paths"].values():
        for method, operation in operations.items():
            _complete_operation(operation, schemas)
            if method == "post":
                _complete_idempotent_operation(operation)
            else:  # every staff endpoint reads the header, but it has a meaning for POST only
                _remove_parameter(operation, IDEMPOTENCY_HEADER)
    for name in _VALIDATION:
        schemas.pop(name, None)
    document = _name_pages(document)
    components = document["components"]
    if security is not None and security.schemes:
        components["securitySchemes"] = dict(security.schemes)
        _add_requirements(document, routes, security)
    return document


def _name_pages(value: Any) -> Any:
    """Rename the schemas of pages, in references too: `Page_LeaveOut_` becomes `LeaveOutPage`."""
    if isinstance(value, dict):
        return {_PAGE.sub(r"\1Page", name): _name_pages(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_name_pages(each) for each in value]
    return _PAGE.sub(r"\1Page", value) if isinstance(value, str) and "Page_" in value else value


def _add_requirements(document: dict[str, Any], routes: Sequence[APIRoute], security: Security) -> None:
    for route in routes:
        requirements = security.requirements_of(route)
        for method in route.methods or ():
            operation = document["paths"].get(route.path, {}).get(method.lower())
            if operation is not None:
                operation["security"] = list(requirements)
                names = {name for requirement in requirements for name in requirement}
                headers = [each for name, each in security.parameters.items() if name in names]
                operation["parameters"] = operation.get("parameters", []) + headers


def _complete_idempotent_operation(operation: dict[str, Any]) -> None:
    names = [each["name"] for each in operation.get("parameters", ())]
    if IDEMPOTENCY_HEADER in names:  # a repetition without a recorded response, or a key of another request
        _add_problems(operation, 409, 422)


def _remove_parameter(operation: dict[str, Any], name: str) -> None:
    if "parameters" in operation:
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != name]


def _complete_operation(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    responses = operation["responses"]
    statuses = [422]  # a query parameter that is unknown or given twice
    if "requestBody" in operation:
        statuses += [400, 413, 415]
        body = operation["requestBody"]["content"].get("application/json")
        if body is not None:
            body["example"] = example_of(body["schema"], schemas)
    for status, response in responses.items():
        content = response.get("content", {}).get("application/json")
        if status.startswith("2") and content is not None and content.get("schema"):
            content["example"] = response_example_of(content["schema"], schemas)
    _add_problems(operation, *statuses)


def _add_problems(operation: dict[str, Any], *statuses: int) -> None:
    problems = {str(status): response for status, response in problem_responses(*statuses).items()}
    operation["responses"] = dict(sorted((operation["responses"] | problems).items()))


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


_FORMATS = {
    "uuid": EXAMPLE_ID,
    "date-time": "2026-03-17T01:00:00Z",
    "date": "2026-03-17",
    "time": "09:00:00",
    "binary": "…",
}
_TYPES: dict[str, Any] = {"boolean": True, "integer": 1, "number": 1.0, "null": None, "string": "…"}
_MAX_DEPTH = 8


def response_example_of(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """An example of a response schema with every field: the declared examples, otherwise a value of the type."""
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("const", "example"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return response_example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth)
    choices = schema.get("oneOf", schema.get("anyOf", schema.get("allOf")))
    if choices:
        return response_example_of(choices[0], schemas, depth)
    return _response_example_of_type(schema, schemas, depth)


def _response_example_of_type(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> Any:
    if "properties" in schema:
        fields = schema["properties"].items()
        return {name: response_example_of(each, schemas, depth + 1) for name, each in fields}
    if "prefixItems" in schema:
        return [response_example_of(each, schemas, depth + 1) for each in schema["prefixItems"]]
    if schema.get("type") == "array":
        items = schema.get("items")
        return [] if items is None or depth > _MAX_DEPTH else [response_example_of(items, schemas, depth + 1)]
    if schema.get("type") == "object":
        return {}
    default = _FORMATS.get(schema.get("format", ""), _TYPES.get(schema.get("type", "")))
    return schema.get("minimum", default)
