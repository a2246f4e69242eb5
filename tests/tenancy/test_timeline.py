"""A student's timeline has what the endpoints of each kind have, for the same roles, whatever the size of its pages."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from backend.timeline.kinds import NOT_FOR_COUNSELORS, OF_THE_SCHOOL, TimelineKind
from tests.support.student_file import fill_student_file
from tests.tenancy.fixtures import TenancyScenario

pytestmark = pytest.mark.xdist_group("tenancy")

READABLE: Mapping[str, set[TimelineKind]] = {
    "province": set(TimelineKind) - OF_THE_SCHOOL,
    "bureau": set(TimelineKind) - OF_THE_SCHOOL,
    "registrar": set(TimelineKind),
    "counselor": set(TimelineKind) - NOT_FOR_COUNSELORS,
}
Item = dict[str, Any]


def student_of(scenario: TenancyScenario) -> UUID:
    student: UUID = scenario.records["school"]["student"]
    return student


async def read(scenario: TenancyScenario, role: str, path: str, **query: object) -> Item:
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await scenario.clients[role].request("GET", f"{path}?{parameters}")
    assert answer.status_code == 200, answer.text
    page: Item = answer.json()
    return page


async def read_all(
    scenario: TenancyScenario, role: str, path: str, limit: int, **query: object
) -> list[Item]:
    items: list[Item] = []
    cursor: Mapping[str, object] = {}
    while True:
        page = await read(scenario, role, path, limit=limit, **query, **cursor)
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


async def read_timeline(
    scenario: TenancyScenario, role: str, limit: int = 200, **query: object
) -> list[Item]:
    path = f"/v1/students/{student_of(scenario)}/timeline"
    return await read_all(scenario, role, path, limit, **query)


def keys(items: list[Item]) -> list[tuple[str, str]]:
    return [(item["kind"], item["id"]) for item in items]


@pytest.mark.parametrize("role", READABLE)
async def test_pages_of_any_size_have_each_record_once_newest_first(
    scenario: TenancyScenario, role: str
) -> None:
    whole = await read_timeline(scenario, role)
    assert len(set(keys(whole))) == len(whole)
    times = [item["at"] for item in whole]
    assert times == sorted(times, reverse=True)
    for limit in (1, 2, 7):
        assert keys(await read_timeline(scenario, role, limit)) == keys(whole)


@pytest.mark.parametrize(("role", "kinds"), READABLE.items(), ids=READABLE)
async def test_a_role_sees_the_kinds_that_it_reads_elsewhere(
    scenario: TenancyScenario, role: str, kinds: set[TimelineKind]
) -> None:
    page = await read(scenario, role, f"/v1/students/{student_of(scenario)}/timeline", limit=1)
    assert set(page["kinds"]) == kinds
    whole = await read_timeline(scenario, role)
    assert {item["kind"] for item in whole} <= kinds
    for kind in kinds:
        filtered = await read_timeline(scenario, role, 2, kind=kind)
        assert keys(filtered) == [key for key in keys(whole) if key[0] == kind]


async def test_every_kind_occurs_in_a_filled_file(scenario: TenancyScenario) -> None:
    student = scenario.records["colleague"]["second_student"]
    async with scenario.roll.owner_transaction() as session:
        await fill_student_file(
            session,
            student,
            scenario.records["school"]["missed_check"],
            scenario.world.school.path,
            scenario.app_context.keys,
            scenario.clock(),
        )
    path = f"/v1/students/{student}/timeline"
    whole = await read_all(scenario, "registrar", path, 200)
    assert {item["kind"] for item in whole} == set(TimelineKind)
    assert keys(await read_all(scenario, "registrar", path, 20)) == keys(whole)
    aid = (await scenario.clients["registrar"].request("GET", f"/v1/students/{student}/aid")).json()
    paid = {item["id"]: item["fen"] for item in whole if item["kind"] == "aid_payment"}
    assert paid == {each["id"]: each["fen"] for each in aid["payments"]}
    moved = {item["id"]: item["fen"] for item in whole if item["kind"] == "aid_filing"}
    assert moved == {each["id"]: each["fen"] for each in aid["moved"]}
    granted = [item["fen"] for item in whole if item["kind"] == "aid_application"]
    assert granted == [sum(part["fen"] for part in award["instalments"]) for award in aid["awards"]]
    for role in ("province", "bureau"):
        assert {item["kind"] for item in await read_all(scenario, role, path, 200)} == READABLE[role]


ENDPOINTS: Mapping[TimelineKind, tuple[str, str]] = {
    TimelineKind.ROLL_CALL: ("/v1/students/{student}/roll-calls", "roll_call_id"),
    TimelineKind.PROMPT: ("/v1/prompts?student_id={student}", "id"),
    TimelineKind.CHANGE_REQUEST: ("/v1/change-requests?student_id={student}", "id"),
    TimelineKind.APPEAL: ("/v1/appeals?student_id={student}", "id"),
    TimelineKind.LEAVE: ("/v1/leave-requests?student_id={student}", "id"),
    TimelineKind.ATTENDANCE: ("/v1/students/{student}/attendance", "id"),
    TimelineKind.CLAIM: ("/v1/reason-claims?student_id={student}", "id"),
    TimelineKind.PICTURE_VIEW: ("/v1/students/{student}/picture-views", "id"),
}


@pytest.mark.parametrize("kind", ENDPOINTS)
async def test_a_kind_has_the_records_of_its_endpoint(scenario: TenancyScenario, kind: TimelineKind) -> None:
    path, name = ENDPOINTS[kind]
    answer = await scenario.clients["registrar"].request("GET", path.format(student=student_of(scenario)))
    assert answer.status_code == 200, answer.text
    listed = {item[name] for item in answer.json()["items"]}
    assert listed == {item["id"] for item in await read_timeline(scenario, "registrar", kind=kind)}


async def test_the_file_of_another_school_is_not_found(scenario: TenancyScenario) -> None:
    path = f"/v1/students/{scenario.records['direct']['student']}/timeline"
    for role in ("bureau", "registrar", "counselor"):
        assert (await scenario.clients[role].request("GET", path)).status_code == 404
    assert (await scenario.clients["province"].request("GET", path)).status_code == 200


async def test_a_cursor_of_another_list_is_refused(scenario: TenancyScenario) -> None:
    path = f"/v1/students/{student_of(scenario)}/timeline?cursor=WyJhIl0"
    answer = await scenario.clients["registrar"].request("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")
