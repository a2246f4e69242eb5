"""The OpenAPI documents: errors are problem documents, and every request body has a valid example."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from backend.core.web.api import ExampleMissing, example_of
from tests.tenancy.matrix import ROWS
from tests.tenancy.openapi_documents import document

UNAVAILABLE = 503
"""Under load or without the database, with a Retry-After header."""
CHINESE = re.compile("[一-鿿]")
WRITTEN_FIELDS = {
    "address",
    "claimed",
    "display_name",
    "majors",
    "name",
    "note",
    "opinion",
    "reason",
    "source",
    "title",
}
"""Fields that people write in their own language."""


def operations(api: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document(api)["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies() -> list[Any]:
    return [
        pytest.param(api, operation["requestBody"]["content"]["application/json"], id=f"{api} {route}")
        for api in ROWS
        for route, operation in operations(api)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


@pytest.mark.parametrize(("api", "body"), bodies())
def test_example_of_a_request_body_is_valid(api: str, body: dict[str, Any]) -> None:
    schema = {**body["schema"], "components": document(api)["components"]}
    jsonschema_rs.validator_for(schema).validate(body["example"])


@pytest.mark.parametrize(("api", "body"), bodies())
def test_examples_of_written_text_are_chinese(api: str, body: dict[str, Any]) -> None:
    example = body["example"]
    values = [value for value in texts(example) if value is not None]
    assert all(CHINESE.search(value) for value in values), example


def texts(value: Any) -> Iterator[str]:
    """The values of fields that people write."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in WRITTEN_FIELDS and isinstance(each, str):
                yield each
            else:
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@pytest.mark.parametrize("api", ROWS)
def test_documented_errors_are_problem_documents(api: str) -> None:
    for route, operation in operations(api):
        for status, response in operation["responses"].items():
            assert int(status) < 500 or int(status) == UNAVAILABLE, route
            if int(status) >= 400:
                assert set(response["content"]) == {"application/problem+json"}, (route, status)
    assert "HTTPValidationError" not in document(api)["components"]["schemas"]


@pytest.mark.parametrize("api", ROWS)
def test_operations_have_a_chinese_description_and_a_unique_id(api: str) -> None:
    all_operations = list(operations(api))
    assert all(CHINESE.search(operation["description"]) for _, operation in all_operations)
    assert len({operation["operationId"] for _, operation in all_operations}) == len(all_operations)


def test_missing_example_raises_an_error() -> None:
    schema = {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}}
    with pytest.raises(ExampleMissing, match="size"):
        example_of(schema, {})
