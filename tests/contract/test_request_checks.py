"""Every route refuses unknown query parameters, other media types and malformed fields in the same way."""

from collections.abc import Callable
from typing import Any

import pytest

from backend.notice.delivery_reports import report_token
from tests.contract.case_sender import account_kind_for
from tests.tenancy.fixtures import Client, TenancyScenario
from tests.tenancy.matrix import ROWS
from tests.tenancy.openapi_documents import document, routes
from tests.tenancy.requests import fill_template, own_ids

pytestmark = pytest.mark.xdist_group("contract")  # creating the accounts takes seconds: do it in one process

ClientFinder = Callable[[str, str], Client]
EVERY_ROUTE = [pytest.param(api, route, id=f"{api} {route}") for api in ROWS for route in routes(api)]


OWN_CREDENTIALS = ("sms-reports", "/guardian/", "/browser-sessions")
"""Routes with a credential that these clients do not have, which is checked before the body."""


def operation_of(api: str, route: str) -> dict[str, Any]:
    method, _, path = route.partition(" ")
    operation: dict[str, Any] = document(api)["paths"][path][method.lower()]
    return operation


def body_types(api: str, route: str) -> set[str]:
    return set(operation_of(api, route).get("requestBody", {}).get("content", {}))


def with_bodies() -> list[Any]:
    return [
        pytest.param(api, route, id=f"{api} {route}")
        for api in ROWS
        for route in routes(api)
        if body_types(api, route)
    ]


def with_json_objects() -> list[Any]:
    return [
        pytest.param(api, route, id=f"{api} {route}")
        for api in ROWS
        for route in routes(api)
        if "application/json" in body_types(api, route) and not any(each in route for each in OWN_CREDENTIALS)
    ]


def path_of(scenario: TenancyScenario, api: str, route: str) -> str:
    """The path of a route, with ids of records that the caller may see."""
    row = next(row for row in ROWS[api] if row.route == route)
    pick = own_ids(scenario, account_kind_for(api, route))
    token = report_token(scenario.app_context.settings.gateway_secret)
    path_parameters = row.path_parameters() | {"token": token}
    return row.template.format_map(fill_template(path_parameters, scenario, pick))


@pytest.mark.parametrize(("api", "route"), EVERY_ROUTE)
async def test_unknown_query_parameter_is_refused_with_the_known_ones(
    scenario: TenancyScenario, client_for: ClientFinder, api: str, route: str
) -> None:
    path = path_of(scenario, api, route)
    method = route.partition(" ")[0]
    answer = await client_for(api, route).request(method, f"{path}?misspelt=1")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "query_parameter_unknown")
    parameters = operation_of(api, route).get("parameters", ())
    known = [each["name"] for each in parameters if each["in"] == "query"]
    for name in ["misspelt", *known]:
        assert name in problem["detail_zh"]
        assert name in problem["detail_en"]


@pytest.mark.parametrize("api", ROWS)
def test_every_operation_documents_the_refusal_of_a_query_parameter(api: str) -> None:
    assert all("422" in operation_of(api, route)["responses"] for route in routes(api))


@pytest.mark.parametrize(("api", "route"), with_bodies())
async def test_another_media_type_is_refused_with_the_right_one(
    scenario: TenancyScenario, client_for: ClientFinder, api: str, route: str
) -> None:
    query = "?file_name=a.xlsx" if "import" in route or "annotation" in route else ""
    if route == "POST /v1/attachments" and api == "staff":
        query = f"?student_id={scenario.records['school']['student']}"
    path = path_of(scenario, api, route) + query
    headers = {"content-type": "application/x-www-form-urlencoded"}  # the one type that no endpoint reads
    client = scenario.phone if "envelopes" in route else client_for(api, route)
    if "/guardian/attachments" in route:  # the file is read after the credential was checked
        client = scenario.clients["guardian"]
    answer = await client.request(route.partition(" ")[0], path, content=b"a=1", headers=headers)
    takes_file = route.endswith((" /v1/attachments", "/guardian/attachments"))
    code = "attachment_type_refused" if takes_file else "media_type_unsupported"
    assert (answer.status_code, answer.json()["code"]) == (415, code)
    if code == "media_type_unsupported":
        assert answer.headers["accept"] in body_types(api, route)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("api", "route"), with_json_objects())
async def test_malformed_fields_are_described_in_the_callers_language(
    scenario: TenancyScenario, client_for: ClientFinder, api: str, route: str, language: str
) -> None:
    client = scenario.phone if "envelopes" in route else client_for(api, route)
    answer = await client.request(
        route.partition(" ")[0],
        path_of(scenario, api, route),
        json={"misspelt": 1},
        headers={"accept-language": language},
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "malformed_request")
    assert problem["detail"] == problem[f"detail_{language}"]
    assert "body.misspelt" in {each["field"] for each in problem["errors"]}
    assert all(each["message"] == each[f"message_{language}"] for each in problem["errors"])
    assert all(each["message_zh"] != each["message_en"] for each in problem["errors"])
