"""Role × tenant × endpoint: expected statuses, and ids of other tenants look like unknown ids."""

from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response

from backend.core.ids import new_id
from tests.tenancy.fixtures import Company, Nobody
from tests.tenancy.matrix import OPEN, OPEN_TO_PHONES, ROWS, STAFF
from tests.tenancy.openapi_documents import routes
from tests.tenancy.requests import PickId, is_same_response, matches, own, send_row
from tests.tenancy.rows import KINDS, Row

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
FOREIGN_STUDENT_VIEWS = (("student", "direct"), ("student", "classmate"))


@pytest.mark.parametrize("api", ROWS)
def test_rows_cover_exactly_the_routes(api: str) -> None:
    assert {row.route for row in ROWS[api]} == set(routes(api))


def build_parameters(rows: tuple[Row, ...], views: tuple[Any, ...]) -> Iterator[Any]:
    for row in rows:
        for each in views:
            yield pytest.param(
                row, each, id=f"{row.name} {each if isinstance(each, str) else ' '.join(each)}"
            )


@pytest.mark.parametrize(
    ("row", "account"), [*build_parameters(STAFF, KINDS), *build_parameters(ROWS["mobile"], ("student",))]
)
async def test_status_is_the_one_of_the_matrix(company: Company, row: Row, account: str) -> None:
    client = company.people[account]
    if row.route == "DELETE /v1/sessions/current":
        client = await company.sign_in_again(account)
    response = await send_row(company, client, row, own(company, account))
    assert matches(response.status_code, row.expected(account)), (response.status_code, response.text)


@pytest.mark.parametrize(
    ("row", "view"),
    [
        *build_parameters(tuple(row for row in STAFF if row.record_names()), FOREIGN_STAFF_VIEWS),
        *build_parameters(tuple(row for row in ROWS["mobile"] if row.record_names()), FOREIGN_STUDENT_VIEWS),
    ],
)
async def test_id_of_another_tenant_looks_like_an_unknown_id(
    company: Company, row: Row, view: tuple[str, str]
) -> None:
    account, owner = view
    foreign_ids = company.estates[owner]
    for name in row.record_names():
        if name not in foreign_ids:
            continue
        foreign = await send_row(
            company, company.people[account], row, replace_id(company, account, name, foreign_ids[name])
        )
        unknown = await send_row(
            company, company.people[account], row, replace_id(company, account, name, new_id())
        )
        assert is_same_response(foreign, unknown), (name, foreign.text, unknown.text)
        assert is_hidden(foreign, filters=name in row.filter_names()), (
            name,
            foreign.status_code,
            foreign.text,
        )


def replace_id(company: Company, account: str, name: str, identifier: Any) -> PickId:
    """Return the account's own ids with one of them replaced."""
    ids = own(company, account)
    return lambda requested: identifier if requested == name else ids(requested)


def is_hidden(response: Response, *, filters: bool) -> bool:
    """Return whether the response is an error, or an empty list."""
    return response.json()["items"] == [] if response.is_success and filters else response.is_client_error


@pytest.mark.parametrize("api", ROWS)
async def test_every_route_requires_credentials(company: Company, api: str) -> None:
    http = company.staff if api == "staff" else company.mobile
    for row in ROWS[api]:
        if api == "staff" and row.route in OPEN:
            continue
        response = await send_row(company, Nobody(http), row, own(company, "anonymous"))
        assert response.status_code == 401, (row.route, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"].split()[0] == ("Bearer" if api == "staff" else "DPoP")


async def test_staff_api_rejects_tokens_of_phones(company: Company) -> None:
    phone = company.phone
    for scheme in ("Bearer", "DPoP"):
        for row in STAFF:
            if row.route in OPEN:
                continue
            path = row.template.format_map(dict.fromkeys(row.places(), str(new_id())))
            proof = phone.proof(row.method, path, phone.token)
            headers = {"Authorization": f"{scheme} {phone.token}", "DPoP": proof}
            response = await send_row(company, Nobody(company.staff, headers), row, own(company, "student"))
            assert response.status_code == 401, (row.route, response.text)


async def test_mobile_api_rejects_tokens_of_staff(company: Company) -> None:
    token = company.staff_member("registrar").staffer.tokens["access_token"]
    for scheme in ("Bearer", "DPoP"):
        for row in ROWS["mobile"]:
            if row.route in OPEN_TO_PHONES:
                continue
            path = row.template.format_map({name: str(new_id()) for name in row.places()})
            headers = {
                "Authorization": f"{scheme} {token}",
                "DPoP": company.phone.proof(row.method, path, token),
            }
            response = await send_row(
                company, Nobody(company.mobile, headers), row, own(company, "registrar")
            )
            assert response.status_code == 401, (row.route, response.text)
