"""The OpenAPI documents: errors are problem documents, and every request body has a valid example."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from httpx import ASGITransport, AsyncClient

from backend.core.web.openapi import IDEMPOTENCY_HEADER, ExampleMissing, example_of
from tests.tenancy.matrix import ROWS, UNAUTHENTICATED_STAFF_ROUTES
from tests.tenancy.openapi_documents import apis, document

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


@pytest.mark.parametrize("api", ROWS)
def test_operation_ids_are_camel_case_verbs_with_an_object(api: str) -> None:
    """Clients name their functions after them: `launchRollCall`."""
    for route, operation in operations(api):
        name = operation["operationId"]
        assert re.fullmatch("[a-z]+([A-Z][a-z]*)+", name), (route, name)
        assert not name.startswith(("post", "put", "delete")), (route, name)


def test_missing_example_raises_an_error() -> None:
    schema = {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}}
    with pytest.raises(ExampleMissing, match="size"):
        example_of(schema, {})


def json_responses() -> list[Any]:
    return [
        pytest.param(api, response["content"]["application/json"], id=f"{api} {route} {status}")
        for api in ROWS
        for route, operation in operations(api)
        for status, response in operation["responses"].items()
        if response.get("content", {}).get("application/json", {}).get("schema")
    ]


@pytest.mark.parametrize(("api", "body"), json_responses())
def test_example_of_a_response_is_valid(api: str, body: dict[str, Any]) -> None:
    schema = {**body["schema"], "components": document(api)["components"]}
    jsonschema_rs.validator_for(schema).validate(body["example"])


def test_every_operation_documents_its_sign_in() -> None:
    """An operation without a sign-in is one that the matrix calls without credentials."""
    for api, schemes in (("staff", {"session"}), ("mobile", {"token", "proof", "guardian"})):
        assert set(document(api)["components"]["securitySchemes"]) == schemes
        open_routes = {route for route, operation in operations(api) if operation["security"] == []}
        expected = UNAUTHENTICATED_STAFF_ROUTES if api == "staff" else set()
        assert open_routes == set(expected)
    by_route = dict(operations("mobile"))
    assert by_route["POST /v1/registrations"]["security"] == [{"proof": []}]
    envelopes = by_route["POST /v1/roll-calls/{roll_call_id}/envelopes"]
    assert envelopes["security"] == [{"token": [], "proof": []}, {"token": []}]


@pytest.mark.parametrize("api", ROWS)
def test_every_operation_that_needs_a_proof_has_its_header(api: str) -> None:
    for route, operation in operations(api):
        headers = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "header"}
        assert ("DPoP" in headers) == any("proof" in each for each in operation["security"]), route


@pytest.mark.parametrize("api", ROWS)
def test_schemas_have_plain_unique_names(api: str) -> None:
    """FastAPI adds the module to the name of a schema if two have the same, and pydantic adds type arguments."""
    assert [name for name in document(api)["components"]["schemas"] if "_" in name] == []


def test_only_posts_of_staff_and_guardians_document_the_idempotency_key() -> None:
    for api in ROWS:
        for route, operation in operations(api):
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            signed_in = api == "staff" and operation["security"] != []
            has_key = (signed_in or {"guardian": []} in operation["security"]) and route.startswith("POST ")
            assert (IDEMPOTENCY_HEADER in names) == has_key, route


@pytest.mark.parametrize("api", ROWS)
async def test_document_page_loads_its_files_from_this_server(api: str) -> None:
    transport = ASGITransport(apis()[api], root_path=f"/{api}")
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        page = (await client.get(f"/{api}/docs")).text
        assert "https://" not in page
        for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert f"/{api}/docs/assets/{name}" in page
            assert (await client.get(f"/{api}/docs/assets/{name}")).status_code == 200


def test_every_address_in_the_guide_exists() -> None:
    known = {
        _without_names(path.removeprefix(prefix))
        for api in ROWS
        for path in document(api)["paths"]
        for prefix in ("", "/v1", "/v1/guardian")
    }
    known |= {f"/{api}{_without_names(path)}" for api in ROWS for path in document(api)["paths"]}
    guide = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:GET|POST|PUT|DELETE) (/[a-z0-9/{}_\-]+)", guide)
    assert named
    assert {path for path in named if _without_names(path) not in known} == set()


def _without_names(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)
