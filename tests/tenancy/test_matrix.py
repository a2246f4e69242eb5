"""Role × tenant × endpoint: expected statuses, and ids of other tenants look like unknown ids."""

from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response

from backend.core.ids import new_id
from tests.tenancy.fixtures import HeaderClient, TenancyScenario
from tests.tenancy.matrix import ROWS, STAFF, UNAUTHENTICATED_MOBILE_ROUTES, UNAUTHENTICATED_STAFF_ROUTES
from tests.tenancy.openapi_documents import routes
from tests.tenancy.requests import PickId, bulk_rows, is_same_response, matches, own_ids, send_row
from tests.tenancy.rows import ROLES, Row

pytestmark = [
    pytest.mark.clause("HN334-2.3"),
    pytest.mark.xdist_group("tenancy"),  # the scenario takes seconds to create: use one process
]

FOREIGN_STAFF_VIEWS = (
    ("bureau", "direct"),
    ("registrar", "direct"),
    ("counselor", "direct"),
    ("counselor", "colleague"),
    ("other_bureau", "school"),
    ("other_registrar", "school"),
)
"""A client, and the owner of records that it must not see: another city, another school, another counselor."""
FOREIGN_OWNERS_FOR_STUDENTS = ("direct", "classmate")


@pytest.mark.parametrize("api", ROWS)
def test_rows_cover_exactly_the_routes(api: str) -> None:
    assert {row.route for row in ROWS[api]} == set(routes(api))


def build_phone_parameters(rows: tuple[Row, ...], owners: tuple[str, ...] = ()) -> Iterator[Any]:
    """The rows of the mobile API with the client that sends each, and the owners of foreign records if there are some."""
    for row in rows:
        client = row.client_of_phone()
        yield from build_parameters((row,), tuple((client, owner) for owner in owners) or (client,))


def build_parameters(rows: tuple[Row, ...], views: tuple[Any, ...]) -> Iterator[Any]:
    for row in rows:
        for each in views:
            yield pytest.param(
                row, each, id=f"{row.name} {each if isinstance(each, str) else ' '.join(each)}"
            )


@pytest.mark.parametrize(
    ("row", "account"), [*build_parameters(STAFF, ROLES), *build_phone_parameters(ROWS["mobile"])]
)
async def test_status_is_the_one_of_the_matrix(scenario: TenancyScenario, row: Row, account: str) -> None:
    client = scenario.clients[account]
    if row.route == "DELETE /v1/sessions/current":
        client = await scenario.sign_in_again(account)
    response = await send_row(scenario, client, row, own_ids(scenario, account))
    assert matches(response.status_code, row.expected(account)), (response.status_code, response.text)


@pytest.mark.parametrize(
    ("row", "view"),
    [
        *build_parameters(tuple(row for row in STAFF if row.record_names()), FOREIGN_STAFF_VIEWS),
        *build_phone_parameters(
            tuple(row for row in ROWS["mobile"] if row.record_names()), FOREIGN_OWNERS_FOR_STUDENTS
        ),
    ],
)
async def test_id_of_another_tenant_looks_like_an_unknown_id(
    scenario: TenancyScenario, row: Row, view: tuple[str, str]
) -> None:
    account, owner = view
    foreign_ids = scenario.records[owner]
    for name in row.record_names():
        if name not in foreign_ids:
            continue
        foreign = await send_row(
            scenario, scenario.clients[account], row, replace_id(scenario, account, name, foreign_ids[name])
        )
        unknown = await send_row(
            scenario, scenario.clients[account], row, replace_id(scenario, account, name, new_id())
        )
        assert is_same_response(foreign, unknown), (name, foreign.text, unknown.text)
        assert is_hidden(foreign, filters=name in row.filter_names()), (
            name,
            foreign.status_code,
            foreign.text,
        )


def replace_id(scenario: TenancyScenario, account: str, name: str, identifier: Any) -> PickId:
    """Return the account's own ids with one of them replaced."""
    ids = own_ids(scenario, account)
    return lambda requested: identifier if requested == name else ids(requested)


def is_hidden(response: Response, *, filters: bool) -> bool:
    """Return whether the response is an error, an empty list, or a bulk act whose rows are all not found."""
    rows = bulk_rows(response)
    if rows:
        return all(row["error"] and row["error"]["code"] == "not_found" for row in rows)
    if not (response.is_success and filters):
        return response.is_client_error
    content = response.json()
    return not content["schools" if "schools" in content else "items"]


@pytest.mark.parametrize("api", ROWS)
async def test_every_route_requires_credentials(scenario: TenancyScenario, api: str) -> None:
    http = scenario.staff if api == "staff" else scenario.mobile
    for row in ROWS[api]:
        if api == "staff" and row.route in UNAUTHENTICATED_STAFF_ROUTES:
            continue
        response = await send_row(scenario, HeaderClient(http), row, own_ids(scenario, "anonymous"))
        assert response.status_code == 401, (row.route, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"].split()[0] == challenge_scheme(api, row)


def challenge_scheme(api: str, row: Row) -> str:
    if api == "staff":
        return "Bearer"
    return "Guardian" if row.client_of_phone() == "guardian" else "DPoP"


async def test_staff_api_rejects_tokens_of_phones(scenario: TenancyScenario) -> None:
    phone = scenario.phone
    for scheme in ("Bearer", "DPoP"):
        for row in STAFF:
            if row.route in UNAUTHENTICATED_STAFF_ROUTES:
                continue
            path = row.template.format_map(dict.fromkeys(row.path_parameters(), str(new_id())))
            proof = phone.proof(row.method, path, phone.token)
            headers = {"Authorization": f"{scheme} {phone.token}", "DPoP": proof}
            response = await send_row(
                scenario, HeaderClient(scenario.staff, headers), row, own_ids(scenario, "student")
            )
            assert response.status_code == 401, (row.route, response.text)


async def test_mobile_api_rejects_tokens_of_staff(scenario: TenancyScenario) -> None:
    token = scenario.staff_member("registrar").staffer.tokens["access_token"]
    for scheme in ("Bearer", "DPoP"):
        for row in ROWS["mobile"]:
            if row.route in UNAUTHENTICATED_MOBILE_ROUTES:
                continue
            path = row.template.format_map({name: str(new_id()) for name in row.path_parameters()})
            headers = {
                "Authorization": f"{scheme} {token}",
                "DPoP": scenario.phone.proof(row.method, path, token),
            }
            response = await send_row(
                scenario, HeaderClient(scenario.mobile, headers), row, own_ids(scenario, "registrar")
            )
            assert response.status_code == 401, (row.route, response.text)
