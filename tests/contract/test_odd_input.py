"""Odd input is refused with a documented problem, at every place of every request; nothing of it is a fault of ours."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from httpx import Response

from backend.core.ids import new_id
from backend.notice.delivery_reports import report_token
from backend.roll_call.envelope import TYPE
from tests.contract.caller import person_for
from tests.support.roll_call.student_phone import content
from tests.tenancy.fixtures import Client, Company
from tests.tenancy.matrix import MOBILE, ROWS, STAFF
from tests.tenancy.openapi_documents import document, routes
from tests.tenancy.requests import filled, own
from tests.tenancy.rows import Made, Row

pytestmark = pytest.mark.xdist_group("contract")  # a company takes seconds to assemble: one process does

Asker = Callable[[str, str], Client]
MARK = "⟨here⟩"
JSON_VALUES = {
    "a NUL": '"a\\u0000b"',
    "a lone surrogate": '"\\ud800"',
    "an endless line": '"' + "长" * 100_000 + '"',
    "nothing": '""',
    "blanks": '"  \\t "',
    "a number beyond 64 bits": "9223372036854775808",
    "a negative number beyond 64 bits": "-9223372036854775809",
    "a number of 5000 digits": "1" * 5000,
    "a number beyond floats": "1e400",
    "no number": "NaN",
    "a fraction": "0.5",
    "the first day, east": '"0001-01-01T00:00:00+14:00"',
    "the last second, west": '"9999-12-31T23:59:59-14:00"',
    "the last day": '"9999-12-31"',
    "the first day": '"0001-01-01"',
    "a time without a zone": '"2026-11-23T09:00:00"',
    "seconds beyond the calendar": "1e18",
    "a list": "[]",
    "a map": "{}",
    "a map with an odd name": '{"\\ud800": 1, "\\u0000": 2}',
    "null": "null",
    "truth": "true",
    "a deep list": "[" * 20_000 + "]" * 20_000,
    "a formula": '"=HYPERLINK(1)"',
}
QUERY_VALUES = ("%00", "%FF", "%ED%A0%80", "", "1e3", "-1", "9" * 30, "长" * 300, "true", "[]", "null", "%25")
ODD_KEYS: tuple[Any, ...] = (
    {},
    [],
    [1],
    ["\ud800"],
    ["\0"],
    ["\ud800", str(new_id())],
    ["9999-12-31T23:59:59-23:59", str(new_id())],
    ["0001-01-01T00:00:00+23:59", str(new_id())],
    ["x", "y"],
    [[[[]]]],
)
CURSORS = (
    "x",
    "é",
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    *(base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=") for keys in ODD_KEYS),
)


def leaves(template: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, containers too; of a list, the first item stands for all."""
    yield path
    if isinstance(template, dict):
        for name, each in template.items():
            yield from leaves(each, (*path, name))
    elif isinstance(template, list) and template:
        yield from leaves(template[0], (*path, 0))


def spoiled(body: Any, place: tuple[Any, ...], fragment: str) -> bytes:
    """The body as JSON with a fragment at one place."""
    if not place:
        return fragment.encode()
    changed = json.loads(json.dumps(body))
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = MARK
    return json.dumps(changed).replace(json.dumps(MARK), fragment).encode()


def judged(api: str, route: str, answer: Response) -> None:
    """No fault of ours, documented, and a problem document if it refuses."""
    method, _, template = route.partition(" ")
    documented = document(api)["paths"][template][method.lower()]["responses"]
    assert answer.status_code < 500, answer.text
    assert str(answer.status_code) in documented, (answer.status_code, answer.text[:300])
    if answer.is_client_error:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def api_of(row: Row) -> str:
    return "mobile" if row in MOBILE else "staff"


REPORT = {
    "phone_number": "13800000000",
    "send_time": "2026-03-02 08:00:00",
    "report_time": "2026-03-02 08:00:05",
    "success": True,
    "biz_id": "12345",
}
CSV = {"outline": {"format": "csv", "datum": "bd09", "csv": "polygon,lon,lat\n主,113.6,34.7\n"}}
AUDIENCE = {
    "kind": "spot_check",
    "title": "学籍核验",
    "notify_at": "2026-11-23T09:00:00+08:00",
    "opens_at": "2026-11-23T09:00:00+08:00",
    "closes_at": "2026-11-23T11:00:00+08:00",
    "seed": "x",
    "audience": {
        "unit_ids": [str(new_id())],
        "class_ids": [str(new_id())],
        "grades": [2025],
        "majors": ["机电"],
        "programmes": ["regular"],
        "sample": {"size": 1, "share": 0.5},
    },
}
FILED = {"valid_from": "2026-11-23T09:00:00+08:00", "valid_to": "2026-11-24T09:00:00+08:00", "note": "新增"}
LAST_NIGHT: dict[str, Any] = AUDIENCE | {
    "notify_at": None,
    "opens_at": "9999-12-31T20:00:00-12:00",
    "closes_at": "9999-12-31T21:00:00-12:00",
    "audience": {},
}
FULLER = (
    Row("POST /v1/roll-calls", "ok ok 403 403", LAST_NIGHT, why="in the last night"),
    Row("POST /v1/callbacks/sms-reports/{token}", "ok", [REPORT], why="that reports"),
    Row("POST /v1/sites/validation", "ok", CSV, why="in CSV"),
    Row("POST /v1/sites/{site_id}/versions", "403 403 ok 403", CSV | FILED, why="in CSV"),
    Row("POST /v1/roll-calls", "ok ok 403 403", AUDIENCE, why="with everything"),
)
"""Requests with more in them than the matrix needs."""


@pytest.mark.parametrize(
    "row", [row for row in (*STAFF, *MOBILE, *FULLER) if row.body is not None], ids=lambda row: row.name
)
async def test_an_odd_value_anywhere_in_a_body(company: Company, asker: Asker, row: Row) -> None:
    api = api_of(row)
    kind = person_for(api, row.route)
    pick = own(company, kind)
    body = filled(row.body, company, pick)
    places = row.places() | {"token": report_token(company.app_context.settings.gateway_secret)}
    path = row.template.format_map(filled(places, company, pick))
    for place in leaves(body):
        for fragment in JSON_VALUES.values():
            headers = {"content-type": "application/json"}
            answer = await asker(api, row.route).request(
                row.method, path, content=spoiled(body, place, fragment), headers=headers
            )
            judged(api, row.route, answer)


def with_queries() -> list[tuple[str, str, str]]:
    """API, route and parameter of every documented query parameter."""
    return [
        (api, f"{method.upper()} {path}", parameter["name"])
        for api in ROWS
        for path, operations in document(api)["paths"].items()
        for method, operation in operations.items()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and method == "get"
    ]


@pytest.mark.parametrize(("api", "route", "parameter"), with_queries())
async def test_an_odd_value_in_a_query(
    company: Company, asker: Asker, api: str, route: str, parameter: str
) -> None:
    kind = person_for(api, route)
    row = next(row for row in ROWS[api] if row.route == route)
    path = row.template.format_map(filled(row.places(), company, own(company, kind)))
    values = QUERY_VALUES + (CURSORS if parameter == "cursor" else ())
    for value in values:
        answer = await asker(api, route).request("GET", f"{path}?{parameter}={value}")
        judged(api, route, answer)


@pytest.mark.parametrize(
    ("api", "route"), [(api, route) for api in ROWS for route in routes(api) if "{" in route]
)
async def test_an_odd_value_in_a_path(company: Company, asker: Asker, api: str, route: str) -> None:
    kind = person_for(api, route)
    row = next(row for row in ROWS[api] if row.route == route)
    for value in ("%00", "%FF", "x", "-1", "9" * 30, "长" * 300, "{" + str(new_id()) + "}", "urn:uuid:x"):
        path = row.template.format_map(dict.fromkeys(row.places(), value))
        body = {"json": filled(row.body, company, own(company, kind))} if row.body is not None else {}
        answer = await asker(api, route).request(row.method, path, **body)
        judged(api, route, answer)


JSON = {"content-type": "application/json"}
BODIES = {
    "no JSON": (b"{", JSON),
    "bytes that are no UTF-8": (b'{"login": "\xff\xfe"}', JSON),
    "UTF-16": ('{"login": "x"}'.encode("utf-16"), JSON),
    "a deep list": (b"[" * 200_000, JSON),
    "two values": (b"{} {}", JSON),
    "a name twice": (b'{"login": "a", "login": "b"}', JSON),
    "nothing": (b"", JSON),
    "plain text": (b"{}", {"content-type": "text/plain"}),
    "XML": (b"<x/>", {"content-type": "application/xml"}),
    "a form": (b"login=x", {"content-type": "application/x-www-form-urlencoded"}),
    "a form without a boundary": (b"--x", {"content-type": "multipart/form-data"}),
    "a form that ends early": (b"--x\r\n", {"content-type": "multipart/form-data; boundary=x"}),
    "a form with an odd header": (
        b"--x\r\nContent-Disposition: form-data; name\r\n\r\n1\r\n--x--\r\n",
        {"content-type": "multipart/form-data; boundary=x"},
    ),
    "a form in no charset": (
        b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--x--\r\n',
        {"content-type": "multipart/form-data; boundary=x; charset=none"},
    ),
    "a form of many parts": (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n1\r\n' * 50 + b"--x--\r\n",
        {"content-type": "multipart/form-data; boundary=x"},
    ),
    "no type at all": (b"{}", {"content-type": ""}),
    "an odd type": (b"{}", {b"content-type": b"application/json; charset=\xff"}),
}


@pytest.mark.parametrize(
    ("api", "route"), [(api, route) for api in ROWS for route in routes(api) if not route.startswith("GET")]
)
async def test_an_odd_body(company: Company, asker: Asker, api: str, route: str) -> None:
    kind = person_for(api, route)
    row = next(row for row in ROWS[api] if row.route == route)
    if row.content is not None and "roster" in route:
        return  # any bytes are a file; the importer's own tests read them
    path = row.template.format_map(filled(row.places(), company, own(company, kind)))
    takes_one = "requestBody" in document(api)["paths"][row.template][row.method.lower()]
    for sent, headers in BODIES.values():
        if not takes_one and route.startswith("DELETE"):
            continue
        answer = await asker(api, route).request(row.method, path, content=sent, headers=headers)
        judged(api, route, answer)


def alike(template: str, other: str) -> bool:
    """Whether an address of the template is one of the other template, too."""
    pairs = zip(template.split("/"), other.split("/"), strict=False)
    same_length = template.count("/") == other.count("/")
    return same_length and all(one == two or two.startswith("{") for one, two in pairs)


@pytest.mark.parametrize("api", ROWS)
async def test_another_method_is_refused_with_the_methods_there_are(company: Company, api: str) -> None:
    here: dict[str, set[str]] = {}
    for route in routes(api):
        method, _, template = route.partition(" ")
        here.setdefault(template, set()).add(method)
    http = company.staff if api == "staff" else company.mobile
    for template, methods in here.items():
        path = "/".join(str(new_id()) if part.startswith("{") else part for part in template.split("/"))
        methods |= {found for other in here for found in here[other] if alike(template, other)}
        for method in {"GET", "HEAD", "OPTIONS", "PATCH", "PUT", "POST", "DELETE", "BREW"} - methods:
            answer = await http.request(method, path)
            others = set(answer.headers.get("allow", "").split(", "))
            assert (answer.status_code, methods <= others) == (405, True), (method, template, others)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("api", ROWS)
async def test_a_slash_too_many_or_an_unknown_address_is_a_404_problem(company: Company, api: str) -> None:
    http = company.staff if api == "staff" else company.mobile
    paths = {route.partition(" ")[2] + "/" for route in routes(api)} | {"/v2/me", "/", "/v1", "//v1/me"}
    for path in paths:
        answer = await http.get(path)
        assert answer.status_code == 404, (path, answer.status_code)
        assert answer.headers["content-type"] == "application/problem+json"


ODD_CREDENTIALS = (
    "",
    "Bearer",
    "Bearer ",
    "DPoP",
    "Basic eDp5",
    "Bearer a.b.c",
    "DPoP é",
    "Bearer " + "a" * 9000,
)


@pytest.mark.parametrize("api", ROWS)
async def test_odd_credentials_are_a_401(company: Company, api: str) -> None:
    http = company.staff if api == "staff" else company.mobile
    for value in ODD_CREDENTIALS:
        headers = {b"authorization": value.encode(), b"dpop": value.encode()}
        answer = await http.get("/v1/me", headers=headers)
        assert answer.status_code == 401, (value, answer.text)


ODD_CLAIMS: tuple[Any, ...] = (
    None,
    10**400,
    -(10**400),
    1e300,
    "x",
    [],
    {},
    True,
    "\ud800",
    "\0",
    float("nan"),
)


def odd_proofs(company: Company) -> Iterator[str]:
    """Proofs that the phone signed over claims and headers that make no sense."""
    phone = company.phone
    plain = jwt.decode(phone.proof("GET", "/v1/me", phone.token), options={"verify_signature": False})
    for claim in plain:
        for value in ODD_CLAIMS:
            if (claim, value) == ("jti", "x"):
                continue  # a name like any other
            claims = plain | {"jti": str(new_id()), claim: value}
            header = {"typ": "dpop+jwt", "jwk": phone.jwk}
            try:
                yield jwt.encode(claims, phone.key, algorithm="ES256", headers=header)
            except (TypeError, UnicodeEncodeError):
                continue  # the library signs no such claims
    for member in phone.jwk:
        for value in ODD_CLAIMS:
            header = {"typ": "dpop+jwt", "jwk": phone.jwk | {member: value}}
            yield jwt.encode(plain | {"jti": str(new_id())}, phone.key, algorithm="ES256", headers=header)


async def test_odd_proofs_are_a_401(company: Company) -> None:
    for proof in odd_proofs(company):
        headers = {"Authorization": f"DPoP {company.phone.token}", "DPoP": proof}
        answer = await company.mobile.get("/v1/me", headers=headers)
        claims = jwt.decode(proof, options={"verify_signature": False})
        assert answer.status_code == 401, (claims, answer.text)


async def test_odd_values_anywhere_in_a_signed_envelope(company: Company) -> None:
    roll_call = company.estates["school"]["roll_call"]
    path = f"/v1/roll-calls/{roll_call}"
    frames = [company.estates["school"]["frame"]] * 3
    for place in leaves(content(roll_call, "nonce", frames)):
        for value in ODD_CLAIMS:
            nonce = (await company.phone.post(f"{path}/challenges")).json().get("nonce", "")
            changed: Any = content(roll_call, nonce, frames)
            holder = changed
            for step in place[:-1]:
                holder = holder[step]
            if place:
                holder[place[-1]] = value
            else:
                changed = {"": value}
            signed = company.phone.sign(changed, typ=TYPE)
            answer = await company.phone.post(f"{path}/envelopes", json={"envelope": signed})
            judged("mobile", "POST /v1/roll-calls/{roll_call_id}/envelopes", answer)


def test_the_rows_of_fuller_requests_are_rows_of_the_matrix() -> None:
    assert {row.route for row in FULLER} <= {row.route for row in STAFF}
    assert not any(isinstance(row.body, Made) for row in FULLER)
