"""Odd input at every place of every request is rejected with a documented problem and causes no server error."""

import base64
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from httpx import Response

from backend.core.ids import new_id
from backend.notice.delivery_reports import report_token
from backend.roll_call.envelope import TYPE
from tests.contract.case_sender import account_kind_for
from tests.support.roll_call.student_phone import make_envelope_content
from tests.tenancy.fixtures import Client, TenancyScenario
from tests.tenancy.matrix import MOBILE, ROWS, STAFF
from tests.tenancy.openapi_documents import document, routes
from tests.tenancy.requests import fill_template, own_ids
from tests.tenancy.rows import Computed, Row

pytestmark = pytest.mark.xdist_group("contract")  # creating the accounts takes seconds: do it in one process

ClientFinder = Callable[[str, str], Client]
MARK = "⟨methods_by_template⟩"
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


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """The parser of the deep list reaches the limit of recursion; a collection just then fails in unrelated finalisers."""
    gc.disable()
    yield
    gc.enable()


def value_paths(template: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON document, containers included; of a list, only the first item."""
    yield path
    if isinstance(template, dict):
        for name, each in template.items():
            yield from value_paths(each, (*path, name))
    elif isinstance(template, list) and template:
        yield from value_paths(template[0], (*path, 0))


def with_fragment(body: Any, place: tuple[Any, ...], fragment: str) -> bytes:
    """The body as JSON, with a fragment in place of one value."""
    if not place:
        return fragment.encode()
    changed = json.loads(json.dumps(body))
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = MARK
    return json.dumps(changed).replace(json.dumps(MARK), fragment).encode()


def assert_documented(api: str, route: str, answer: Response) -> None:
    """The status is no 5xx and documented, and a 4xx response is a problem document."""
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
ADDITIONAL_ROWS = (
    Row("POST /v1/roll-calls", "ok ok 403 403", LAST_NIGHT, note="in the last night"),
    Row("POST /v1/callbacks/sms-reports/{token}", "ok", [REPORT], note="that reports"),
    Row("POST /v1/sites/validation", "ok", CSV, note="in CSV"),
    Row("POST /v1/sites/{site_id}/versions", "403 403 ok 403", CSV | FILED, note="in CSV"),
    Row("POST /v1/roll-calls", "ok ok 403 403", AUDIENCE, note="with everything"),
)
"""Requests with more fields than those of the matrix."""


@pytest.mark.parametrize(
    "row",
    [row for row in (*STAFF, *MOBILE, *ADDITIONAL_ROWS) if row.body is not None],
    ids=lambda row: row.name,
)
async def test_odd_values_in_bodies_cause_no_server_error(
    scenario: TenancyScenario, client_for: ClientFinder, row: Row
) -> None:
    api = api_of(row)
    kind = account_kind_for(api, row.route)
    pick = own_ids(scenario, kind)
    body = fill_template(row.body, scenario, pick)
    path_parameters = row.path_parameters() | {
        "token": report_token(scenario.app_context.settings.gateway_secret)
    }
    path = row.template.format_map(fill_template(path_parameters, scenario, pick))
    for place in value_paths(body):
        for fragment in JSON_VALUES.values():
            headers = {"content-type": "application/json"}
            answer = await client_for(api, row.route).request(
                row.method, path, content=with_fragment(body, place, fragment), headers=headers
            )
            assert_documented(api, row.route, answer)


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
async def test_odd_values_in_queries_cause_no_server_error(
    scenario: TenancyScenario, client_for: ClientFinder, api: str, route: str, parameter: str
) -> None:
    kind = account_kind_for(api, route)
    row = next(row for row in ROWS[api] if row.route == route)
    path = row.template.format_map(fill_template(row.path_parameters(), scenario, own_ids(scenario, kind)))
    values = QUERY_VALUES + (CURSORS if parameter == "cursor" else ())
    for value in values:
        answer = await client_for(api, route).request("GET", f"{path}?{parameter}={value}")
        assert_documented(api, route, answer)


@pytest.mark.parametrize(
    ("api", "route"), [(api, route) for api in ROWS for route in routes(api) if "{" in route]
)
async def test_odd_values_in_paths_cause_no_server_error(
    scenario: TenancyScenario, client_for: ClientFinder, api: str, route: str
) -> None:
    kind = account_kind_for(api, route)
    row = next(row for row in ROWS[api] if row.route == route)
    for value in ("%00", "%FF", "x", "-1", "9" * 30, "长" * 300, "{" + str(new_id()) + "}", "urn:uuid:x"):
        path = row.template.format_map(dict.fromkeys(row.path_parameters(), value))
        body = (
            {"json": fill_template(row.body, scenario, own_ids(scenario, kind))}
            if row.body is not None
            else {}
        )
        answer = await client_for(api, route).request(row.method, path, **body)
        assert_documented(api, route, answer)


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
async def test_odd_bodies_cause_no_server_error(
    scenario: TenancyScenario, client_for: ClientFinder, api: str, route: str
) -> None:
    kind = account_kind_for(api, route)
    row = next(row for row in ROWS[api] if row.route == route)
    if row.content is not None and "roster" in route:
        return  # any bytes are a file; the tests of the importer cover it
    path = row.template.format_map(fill_template(row.path_parameters(), scenario, own_ids(scenario, kind)))
    has_body = "requestBody" in document(api)["paths"][row.template][row.method.lower()]
    for sent, headers in BODIES.values():
        if not has_body and route.startswith("DELETE"):
            continue
        answer = await client_for(api, route).request(row.method, path, content=sent, headers=headers)
        assert_documented(api, route, answer)


def overlaps(template: str, other: str) -> bool:
    """Whether a path can match both templates."""
    pairs = zip(template.split("/"), other.split("/"), strict=False)
    same_length = template.count("/") == other.count("/")
    return same_length and all(one == two or two.startswith("{") for one, two in pairs)


@pytest.mark.parametrize("api", ROWS)
async def test_unsupported_method_is_405_with_allow_header(scenario: TenancyScenario, api: str) -> None:
    methods_by_template: dict[str, set[str]] = {}
    for route in routes(api):
        method, _, template = route.partition(" ")
        methods_by_template.setdefault(template, set()).add(method)
    http = scenario.staff if api == "staff" else scenario.mobile
    for template, methods in methods_by_template.items():
        path = "/".join(str(new_id()) if part.startswith("{") else part for part in template.split("/"))
        methods |= {
            found
            for other in methods_by_template
            for found in methods_by_template[other]
            if overlaps(template, other)
        }
        for method in {"GET", "HEAD", "OPTIONS", "PATCH", "PUT", "POST", "DELETE", "BREW"} - methods:
            answer = await http.request(method, path)
            others = set(answer.headers.get("allow", "").split(", "))
            assert (answer.status_code, methods <= others) == (405, True), (method, template, others)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("api", ROWS)
async def test_unknown_path_or_trailing_slash_is_404(scenario: TenancyScenario, api: str) -> None:
    http = scenario.staff if api == "staff" else scenario.mobile
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
async def test_odd_credentials_are_401(scenario: TenancyScenario, api: str) -> None:
    http = scenario.staff if api == "staff" else scenario.mobile
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


def odd_proofs(scenario: TenancyScenario) -> Iterator[str]:
    """DPoP proofs that the phone signed over invalid claims and headers."""
    phone = scenario.phone
    plain = jwt.decode(phone.proof("GET", "/v1/me", phone.token), options={"verify_signature": False})
    for claim in plain:
        for value in ODD_CLAIMS:
            if (claim, value) == ("jti", "x"):
                continue  # a valid value
            claims = plain | {"jti": str(new_id()), claim: value}
            header = {"typ": "dpop+jwt", "jwk": phone.jwk}
            try:
                yield jwt.encode(claims, phone.key, algorithm="ES256", headers=header)
            except (TypeError, UnicodeEncodeError):
                continue  # PyJWT cannot encode such claims
    for member in phone.jwk:
        for value in ODD_CLAIMS:
            header = {"typ": "dpop+jwt", "jwk": phone.jwk | {member: value}}
            yield jwt.encode(plain | {"jti": str(new_id())}, phone.key, algorithm="ES256", headers=header)


async def test_odd_dpop_proofs_are_401(scenario: TenancyScenario) -> None:
    for proof in odd_proofs(scenario):
        headers = {"Authorization": f"DPoP {scenario.phone.token}", "DPoP": proof}
        answer = await scenario.mobile.get("/v1/me", headers=headers)
        claims = jwt.decode(proof, options={"verify_signature": False})
        assert answer.status_code == 401, (claims, answer.text)


async def test_odd_values_in_signed_envelopes_cause_no_server_error(scenario: TenancyScenario) -> None:
    roll_call = scenario.records["school"]["roll_call"]
    path = f"/v1/roll-calls/{roll_call}"
    frames = [scenario.records["school"]["frame"]] * 3
    for place in value_paths(make_envelope_content(roll_call, "nonce", frames)):
        for value in ODD_CLAIMS:
            nonce = (await scenario.phone.post(f"{path}/challenges")).json().get("nonce", "")
            changed: Any = make_envelope_content(roll_call, nonce, frames)
            holder = changed
            for step in place[:-1]:
                holder = holder[step]
            if place:
                holder[place[-1]] = value
            else:
                changed = {"": value}
            signed = scenario.phone.sign(changed, typ=TYPE)
            answer = await scenario.phone.post(f"{path}/envelopes", json={"envelope": signed})
            assert_documented("mobile", "POST /v1/roll-calls/{roll_call_id}/envelopes", answer)


def test_additional_rows_use_routes_of_the_matrix() -> None:
    assert {row.route for row in ADDITIONAL_ROWS} <= {row.route for row in STAFF}
    assert not any(isinstance(row.body, Computed) for row in ADDITIONAL_ROWS)
