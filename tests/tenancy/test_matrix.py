"""Role × tenant × endpoint: what each kind of account is answered, and that another tenant's id is nobody's."""

from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response

from backend.core.ids import new_id
from tests.tenancy.fixtures import Company, Nobody
from tests.tenancy.matrix import OPEN, OPEN_TO_PHONES, ROWS, STAFF
from tests.tenancy.openapi_documents import routes
from tests.tenancy.requests import Pick, ask, fits, own, same_answer
from tests.tenancy.rows import KINDS, Row

pytestmark = [
    pytest.mark.clause("HN334-2.3"),
    pytest.mark.xdist_group("tenancy"),  # a company takes seconds to assemble: one process does
]

STRANGERS = (
    ("bureau", "direct"),
    ("registrar", "direct"),
    ("counselor", "direct"),
    ("counselor", "colleague"),
    ("other_bureau", "school"),
    ("other_registrar", "school"),
)
"""Who asks, and whose things are foreign to them: another city's, another school's, a colleague's classes'."""
FELLOWS = (("student", "direct"), ("student", "classmate"))


@pytest.mark.parametrize("api", ROWS)
def test_every_route_has_a_row_and_every_row_a_route(api: str) -> None:
    assert {row.route for row in ROWS[api]} == set(routes(api))


def asked(rows: tuple[Row, ...], who: tuple[Any, ...]) -> Iterator[Any]:
    for row in rows:
        for each in who:
            yield pytest.param(
                row, each, id=f"{row.name} {each if isinstance(each, str) else ' '.join(each)}"
            )


@pytest.mark.parametrize(("row", "person"), [*asked(STAFF, KINDS), *asked(ROWS["mobile"], ("student",))])
async def test_each_kind_of_account_is_answered_as_the_matrix_says(
    company: Company, row: Row, person: str
) -> None:
    client = company.people[person]
    if row.route == "DELETE /v1/sessions/current":
        client = await company.signed_in_again(person)
    answer = await ask(company, client, row, own(company, person))
    assert fits(answer.status_code, row.expected(person)), (answer.status_code, answer.text)


@pytest.mark.parametrize(
    ("row", "view"),
    [
        *asked(tuple(row for row in STAFF if row.things()), STRANGERS),
        *asked(tuple(row for row in ROWS["mobile"] if row.things()), FELLOWS),
    ],
)
async def test_another_tenants_id_is_answered_as_one_that_is_nobodys(
    company: Company, row: Row, view: tuple[str, str]
) -> None:
    person, whose = view
    foreign = company.estates[whose]
    for thing in row.things():
        if thing not in foreign:
            continue
        theirs = await ask(
            company, company.people[person], row, instead(company, person, thing, foreign[thing])
        )
        nobodys = await ask(company, company.people[person], row, instead(company, person, thing, new_id()))
        assert same_answer(theirs, nobodys), (thing, theirs.text, nobodys.text)
        assert hidden(theirs, filters=thing in row.filters()), (thing, theirs.status_code, theirs.text)


def instead(company: Company, person: str, thing: str, identifier: Any) -> Pick:
    """The person's own ids with one of them replaced."""
    ids = own(company, person)
    return lambda name: identifier if name == thing else ids(name)


def hidden(answer: Response, *, filters: bool) -> bool:
    """Refused, or a list in which nothing is left."""
    return answer.json()["items"] == [] if answer.is_success and filters else answer.is_client_error


@pytest.mark.parametrize("api", ROWS)
async def test_without_credentials_every_route_answers_401(company: Company, api: str) -> None:
    http = company.staff if api == "staff" else company.mobile
    for row in ROWS[api]:
        if api == "staff" and row.route in OPEN:
            continue
        answer = await ask(company, Nobody(http), row, own(company, "nobody"))
        assert answer.status_code == 401, (row.route, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].split()[0] == ("Bearer" if api == "staff" else "DPoP")


async def test_a_phones_token_opens_nothing_of_the_staff_api(company: Company) -> None:
    phone = company.phone
    for scheme in ("Bearer", "DPoP"):
        for row in STAFF:
            if row.route in OPEN:
                continue
            path = row.template.format_map(dict.fromkeys(row.places(), str(new_id())))
            proof = phone.proof(row.method, path, phone.token)
            headers = {"Authorization": f"{scheme} {phone.token}", "DPoP": proof}
            answer = await ask(company, Nobody(company.staff, headers), row, own(company, "student"))
            assert answer.status_code == 401, (row.route, answer.text)


async def test_a_staff_token_opens_nothing_of_the_phones_api(company: Company) -> None:
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
            answer = await ask(company, Nobody(company.mobile, headers), row, own(company, "registrar"))
            assert answer.status_code == 401, (row.route, answer.text)
