"""The search of the audit log: who reads what, and what each filter finds."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.staff_api import audit as audit_api
from tests.support.province import (
    SampleProvince,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)
from tests.support.staff_client import StaffClient, staff_client

ENTRIES = "/v1/audit-entries"


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=2)


@pytest.fixture(scope="module")
async def client(app_context: AppContext) -> AsyncIterator[StaffClient]:
    client = staff_client(app_context, audit_api.router)
    async with client.http:
        yield client


async def record(database: Database, by: Actor | Scope, act: audit.Act, ago: float = 0) -> None:
    async with database.transaction(by.scope if isinstance(by, Actor) else by) as session:
        audit.record(session, act, now() - timedelta(minutes=ago))


async def found(client: StaffClient, actor: Actor, prefix: str, **query: Any) -> list[str]:
    """The actions with this prefix, newest first.

    The tests of a process share the province and its cities, so name a school, an action or a time.
    """
    entries = await client.every(actor, ENTRIES, **query)
    return [entry["action"] for entry in entries if entry["action"].startswith(prefix)]


async def test_a_unit_reads_its_own_entries_and_those_below(
    client: StaffClient, database: Database, world: SampleProvince
) -> None:
    registrar, bureau = registrar_account(world.school), bureau_account(world.city)
    since = (now() - timedelta(minutes=4)).isoformat()
    await record(database, registrar, audit.Act("unit.school", "school", "1", world.school.path), ago=3)
    await record(database, bureau, audit.Act("unit.city", "org_unit", "2", world.city.path), ago=2)
    sister = registrar_account(world.sister)
    await record(database, sister, audit.Act("unit.sister", "school", "3", world.sister.path), ago=1)
    assert await found(client, registrar, "unit.") == ["unit.school"]
    assert await found(client, bureau, "unit.", since=since) == ["unit.sister", "unit.city", "unit.school"]
    assert await found(client, bureau, "unit.", unit_id=world.school.id) == ["unit.school"]
    assert await found(client, bureau_account(world.other_city), "unit.", since=since) == []
    counselor = counselor_account(world.school, world.school.classes[0])
    assert (await client.get(counselor, ENTRIES)).status_code == 403
    assert (await client.get(registrar, ENTRIES, unit_id=world.sister.id)).status_code == 404


async def test_a_person_is_found_by_every_record_but_not_by_outcomes_of_the_system(
    client: StaffClient, database: Database, world: SampleProvince
) -> None:
    registrar, path = registrar_account(world.school), world.school.path
    student, other = world.school.classes[0].students
    outcome = f"{new_id()}/{student.id}"
    system = Scope.school(world.school.id, path)
    await record(database, registrar, audit.Act("person.student", "student", str(student.id), path))
    await record(database, registrar, audit.Act("person.other", "student", str(other.id), path))
    await record(database, system, audit.Act("person.outcome", "outcome", outcome, path))
    (entry,) = await client.every(registrar, ENTRIES, student_id=student.id)
    assert (entry["action"], entry["student_name"]) == ("person.student", student.name)
    assert await found(client, registrar, "person.", subject_id=outcome) == []
    assert await found(client, registrar, "person.", action="person.outcome") == ["person.outcome"]
    foreign = registrar_account(world.sister)
    assert (await client.get(foreign, ENTRIES, student_id=student.id)).status_code == 404


async def test_actor_action_and_time_narrow_the_search_page_by_page(
    client: StaffClient, database: Database, world: SampleProvince
) -> None:
    registrar, bureau = registrar_account(world.school), bureau_account(world.city)
    path, start = world.school.path, now()
    for minutes in range(5):
        await record(database, registrar, audit.Act("search.one", "school", str(minutes), path), ago=minutes)
    await record(database, bureau, audit.Act("search.two", "school", "5", path), ago=10)
    own: dict[str, Any] = {"unit_id": world.school.id}
    both = ["search.one"] * 5 + ["search.two"]
    assert await found(client, bureau, "search.", limit=2, **own) == both
    assert await found(client, bureau, "search.", account_id=bureau.account_id) == ["search.two"]
    assert await found(client, bureau, "search.", action="search.two") == ["search.two"]
    since = (start - timedelta(minutes=2, seconds=30)).isoformat()
    assert await found(client, bureau, "search.", since=since, **own) == ["search.one"] * 3
    assert await found(client, bureau, "search.", until=since, **own) == ["search.one"] * 2 + ["search.two"]
    assert await found(
        client, province_account(world.province), "search.", action="search.two", until=since
    ) == ["search.two"]
