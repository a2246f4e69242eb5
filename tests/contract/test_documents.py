"""The OpenAPI documents: refusals are problem documents everywhere, and every body has an example that holds."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from backend.core.web.api import ExampleMissing, example_of
from tests.tenancy.matrix import ROWS
from tests.tenancy.openapi_documents import document

TRY_AGAIN = 503
"""Under load, or while the database is away: with the time after which to come back."""
CHINESE = re.compile("[一-鿿]")
WRITTEN = {
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
"""Fields that a person writes in the person's own language."""


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
def test_the_example_of_a_body_is_valid(api: str, body: dict[str, Any]) -> None:
    schema = {**body["schema"], "components": document(api)["components"]}
    jsonschema_rs.validator_for(schema).validate(body["example"])


@pytest.mark.parametrize(("api", "body"), bodies())
def test_what_people_write_is_shown_in_chinese(api: str, body: dict[str, Any]) -> None:
    example = body["example"]
    written = [value for value in texts(example) if value is not None]
    assert all(CHINESE.search(value) for value in written), example


def texts(value: Any) -> Iterator[str]:
    """The values of fields that people write."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in WRITTEN and isinstance(each, str):
                yield each
            else:
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@pytest.mark.parametrize("api", ROWS)
def test_every_refusal_is_a_problem_document_and_no_fault_is_promised(api: str) -> None:
    for route, operation in operations(api):
        for status, response in operation["responses"].items():
            assert int(status) < 500 or int(status) == TRY_AGAIN, route
            if int(status) >= 400:
                assert set(response["content"]) == {"application/problem+json"}, (route, status)
    assert "HTTPValidationError" not in document(api)["components"]["schemas"]


@pytest.mark.parametrize("api", ROWS)
def test_every_operation_is_described_in_chinese_and_has_a_name_of_its_own(api: str) -> None:
    found = list(operations(api))
    assert all(CHINESE.search(operation["description"]) for _, operation in found)
    assert len({operation["operationId"] for _, operation in found}) == len(found)


def test_a_field_without_an_example_is_found() -> None:
    schema = {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}}
    with pytest.raises(ExampleMissing, match="size"):
        example_of(schema, {})
