"""Beside every id of a student, class, unit, counselor or account that a person would see stands the name."""

from typing import Any

import pytest
from fastapi.routing import APIRoute

from backend.identity.names import NAMED, name_field
from tests.architecture.test_response_fields import referenced_schemas, response_schemas
from tests.tenancy.openapi_documents import apis, document

NAMELESS = {
    "the name has its own field: `name`, `display_name`, `org_name`, `deciding_unit`": {
        "AppealDetailOut.deciding_unit_id",
        "AppealOut.deciding_unit_id",
        "CandidateStudentOut.student_id",
        "FilingDetailOut.student_id",
        "FilingOut.student_id",
        "MissingStudentOut.student_id",
        "OverdueOut.school_id",
        "ResultOut.student_id",
        "RehearsalCheckInOut.student_id",
        "StaffMeOut.counselor_id",
        "StaffMeOut.school_id",
        "StudentActivationOut.student_id",
        "StudentMeOut.student_id",
        "AccountOut.counselor_id",
        "InvitationOut.counselor_id",
    },
}


def named_fields(schema: dict[str, Any]) -> set[str]:
    return set(schema.get("properties", {})) & set(NAMED)


@pytest.mark.parametrize("api", ["staff", "mobile"])
def test_ids_of_people_and_units_have_names(api: str) -> None:
    nameless = {
        f"{name}.{field}"
        for name, schema in response_schemas(api).items()
        for field in named_fields(schema)
        if name_field(field) not in schema["properties"]
    }
    assert nameless - {each for fields in NAMELESS.values() for each in fields} == set()


def routes_with_names(api: str) -> list[APIRoute]:
    """The routes whose responses have a name field that is empty by default."""
    return [route for route in apis()[api]._secured_routes if _has_empty_names(api, route)]


def _has_empty_names(api: str, route: APIRoute) -> bool:
    schemas = document(api)["components"]["schemas"]
    method = next(iter(route.methods or ())).lower()
    responses = document(api)["paths"][route.path][method]["responses"]
    waiting = set(referenced_schemas({key: each for key, each in responses.items() if key.startswith("2")}))
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= set(referenced_schemas(schemas[name])) - seen
    return any(
        name_field(field) in schemas[name]["properties"]
        and name_field(field) not in schemas[name].get("required", ())
        for name in seen
        for field in named_fields(schemas[name])
    )


@pytest.mark.parametrize("api", ["staff", "mobile"])
def test_endpoints_fill_the_names(api: str) -> None:
    missing = [
        route.name
        for route in routes_with_names(api)
        if not hasattr(route.endpoint, "fills_names") and _takes_caller(route)
    ]
    assert missing == []


def _takes_caller(route: APIRoute) -> bool:
    return "caller" in route.endpoint.__code__.co_varnames
