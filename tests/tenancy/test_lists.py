"""Every list with sorts: pages hold each row once and in order, ties included, for every role that may read it."""

import re
from typing import Any

import pytest

from tests.tenancy.fixtures import TenancyScenario
from tests.tenancy.openapi_documents import document
from tests.tenancy.requests import own_ids
from tests.tenancy.rows import PATH_RECORDS, ROLES

pytestmark = [pytest.mark.clause("HN334-2.3"), pytest.mark.xdist_group("tenancy")]


def sorted_lists() -> dict[str, list[str]]:
    """The sorts of each list of the staff API, by path."""
    found = {}
    for path, methods in document("staff")["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", ()):
            if parameter["name"] == "sort":
                found[path] = parameter["schema"]["enum"]
    return found


LISTS = sorted_lists()
CASES = [pytest.param(path, sort, id=f"{path} {sort}") for path, sorts in LISTS.items() for sort in sorts]


def fill_path(scenario: TenancyScenario, role: str, path: str) -> str:
    """The path with the ids of the common school."""
    pick = own_ids(scenario, role)
    return path.format_map({name: str(pick(PATH_RECORDS[name])) for name in re.findall(r"{(\w+)}", path)})


async def get(scenario: TenancyScenario, role: str, path: str, **params: Any) -> dict[str, Any]:
    response = await scenario.clients[role].request("GET", fill_path(scenario, role, path), params=params)
    assert response.status_code in {200, 403}, response.text
    page: dict[str, Any] = response.json() if response.status_code == 200 else {"items": [], "total": None}
    return page


async def walk(scenario: TenancyScenario, role: str, path: str, **params: Any) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(scenario, role, path, **params, **cursor)
        rows += page["items"]
        if not page.get("next_cursor"):
            return rows
        cursor = {"cursor": page["next_cursor"]}


def test_people_scroll_lists_with_sorts() -> None:
    assert {
        "/v1/students",
        "/v1/classes",
        "/v1/schools",
        "/v1/sites",
        "/v1/roll-calls",
        "/v1/prompts",
        "/v1/roll-calls/{roll_call_id}/missing",
        "/v1/roll-calls/{roll_call_id}/results",
        "/v1/audit-entries",
    } <= set(LISTS)


@pytest.mark.parametrize(("path", "sort"), CASES)
async def test_pages_hold_every_row_once_and_in_order(
    scenario: TenancyScenario, path: str, sort: str
) -> None:
    opposite = sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"
    for role in ROLES:
        whole = await get(scenario, role, path, sort=sort, limit=200, total="true")
        rows = whole["items"]
        assert await walk(scenario, role, path, sort=sort, limit=max(1, len(rows) // 3)) == rows
        assert (await get(scenario, role, path, sort=opposite, limit=200))["items"] == rows[::-1]
        if whole["total"] is not None:
            assert whole["total"] == {"count": len(rows), "is_exact": True}


@pytest.mark.parametrize("path", LISTS)
async def test_cursor_of_another_sort_is_refused(scenario: TenancyScenario, path: str) -> None:
    ascending, descending = LISTS[path][:2]
    cursors = {
        role: (await get(scenario, role, path, sort=ascending, limit=1)).get("next_cursor") for role in ROLES
    }
    for role, cursor in cursors.items():
        if cursor is not None:
            params = {"sort": descending, "limit": 1, "cursor": cursor}
            address = fill_path(scenario, role, path)
            response = await scenario.clients[role].request("GET", address, params=params)
            assert (response.status_code, response.json()["code"]) == (422, "cursor_of_other_sort")
