"""Sends the request of a row of the matrix, with ids that a test chooses."""

from collections.abc import Callable
from typing import Any

from httpx import Response

from tests.support.roll_call.student_phone import render_burst
from tests.tenancy.fixtures import Client, TenancyScenario
from tests.tenancy.rows import Computed, IdOf, Row

PickId = Callable[[str], Any]


def own_ids(scenario: TenancyScenario, person: str) -> PickId:
    """Return the ids of the common school, with the account's own records first."""
    ids = scenario.records["school"] | scenario.records.get(person, {})
    return ids.__getitem__


def fill_template(template: Any, scenario: TenancyScenario, pick: PickId) -> Any:
    """Fill a template with ids and computed values."""
    match template:
        case IdOf(record):
            return str(pick(record))
        case Computed(make):
            return make(scenario)
        case dict():
            return {name: fill_template(each, scenario, pick) for name, each in template.items()}
        case list():
            return [fill_template(each, scenario, pick) for each in template]
    return template


async def send_row(scenario: TenancyScenario, client: Client, row: Row, pick: PickId) -> Response:
    """Send the request of a row."""
    path = row.template.format_map(fill_template(row.path_parameters(), scenario, pick))
    options: dict[str, Any] = {"params": fill_template(row.query, scenario, pick)}
    if row.pictures is not None:
        count = 3 if row.pictures == "shots" else 1
        shots = render_burst(scenario.enrolled_student.person, count=count)
        options["files"] = [(row.pictures, (f"{n}.png", shot, "image/png")) for n, shot in enumerate(shots)]
    elif row.content is not None:
        options |= {"content": row.content.make(scenario), "headers": {"content-type": row.media}}
    elif row.body is not None:
        options["json"] = fill_template(row.body, scenario, pick)
    if row.headers:
        options["headers"] = {**options.get("headers", {}), **row.headers}
    return await client.request(row.method, path, **options)


def matches(status: int, expected: str) -> bool:
    """Return whether a status is one of those in a cell of the matrix."""
    return any(200 <= status < 300 if each == "ok" else status == int(each) for each in expected.split("/"))


def is_same_response(one: Response, other: Response) -> bool:
    """Compare two responses byte for byte, except for the requested path (`instance`) and the ids of a bulk act's rows."""
    return _comparable(one) == _comparable(other)


def _comparable(response: Response) -> tuple[int, dict[str, str], bytes]:
    path = response.request.url.path.encode()
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    content = response.content.replace(path, b"")
    for row in bulk_rows(response):
        content = content.replace(row["id"].encode(), b"")
    return response.status_code, headers, content


def bulk_rows(response: Response) -> list[dict[str, Any]]:
    """The rows of the response of a bulk act; none of another response."""
    is_json = response.headers.get("content-type") == "application/json"
    body = response.json() if is_json and response.content else None
    return body["rows"] if isinstance(body, dict) and {"rows", "refused"} <= body.keys() else []
