"""Classes and students over HTTP: own school, own classes, masked numbers."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import func, update

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.people.tables import ClassCounselor
from backend.staff_api.organisation import people
from tests.support.province import (
    PROVINCE_PATH,
    SampleProvince,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
    student_account,
)
from tests.support.staff_client import StaffClient, is_same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-2.3")


@pytest.fixture(scope="module")
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=2, students=3)


@pytest.fixture(scope="module")
async def client(app_context: AppContext) -> AsyncIterator[StaffClient]:
    client = staff_client(app_context, people.router)
    async with client.http:
        yield client


def ids(items: list[dict[str, object]]) -> set[object]:
    return {item["id"] for item in items}


async def test_a_registrar_reads_the_whole_school_and_no_other(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = registrar_account(world.school)
    classes = await client.every(actor, "/v1/classes", limit=1)
    students = await client.every(actor, "/v1/students", limit=4)
    assert ids(classes) == {str(each.id) for each in world.school.classes}
    assert ids(students) == {str(each.id) for each in world.school.students}
    assert {(each["students"], each["counselor_id"]) for each in classes} == {
        (3, str(each.counselor_id)) for each in world.school.classes
    }
    assert await client.every(actor, "/v1/students", school_id=str(world.sister.id)) == []


async def test_a_counselor_reads_only_the_own_classes(client: StaffClient, world: SampleProvince) -> None:
    own, other = world.school.classes
    actor = counselor_account(world.school, own)
    assert ids(await client.every(actor, "/v1/classes")) == {str(own.id)}
    assert ids(await client.every(actor, "/v1/students")) == {str(each.id) for each in own.students}
    assert await client.every(actor, "/v1/students", class_id=str(other.id)) == []
    colleague, absent = [
        await client.get(actor, f"/v1/students/{each}") for each in (other.students[0].id, uuid4())
    ]
    assert colleague.status_code == 404
    assert is_same_refusal(colleague, absent)


async def test_another_schools_student_is_not_found(client: StaffClient, world: SampleProvince) -> None:
    student = world.sister.students[0]
    strangers = [
        registrar_account(world.school),
        registrar_account(world.direct),
        counselor_account(world.school, world.school.classes[0]),
        bureau_account(world.other_city),
    ]
    for actor in strangers:
        foreign, absent = [await client.get(actor, f"/v1/students/{each}") for each in (student.id, uuid4())]
        assert foreign.status_code == 404
        assert is_same_refusal(foreign, absent)
        assert await client.every(actor, "/v1/students", q=student.id_number) == []


async def test_superiors_read_the_schools_below_them(client: StaffClient, world: SampleProvince) -> None:
    city = bureau_account(world.city)
    found = await client.every(city, "/v1/students", school_id=str(world.sister.id))
    assert ids(found) == {str(each.id) for each in world.sister.students}
    direct = f"/v1/students/{world.direct.students[0].id}"
    assert (await client.get(city, direct)).status_code == 404
    assert (await client.get(province_account(world.province), direct)).status_code == 200


async def test_no_answer_contains_an_unmasked_id_number(client: StaffClient, world: SampleProvince) -> None:
    actor = registrar_account(world.school)
    answers = [await client.get(actor, "/v1/students", limit=200)]
    answers += [await client.get(actor, f"/v1/students/{each.id}") for each in world.school.students]
    for student in world.school.students:
        assert not any(student.id_number in answer.text for answer in answers)
    detail = answers[1].json()
    number = world.school.students[0].id_number
    assert detail["id_number_masked"] == f"{number[:3]}{'*' * 13}{number[-2:]}"
    assert detail["student_number_masked"] == f"G{number[:2]}{'*' * 14}{number[-2:]}"
    assert detail["birth_date"].replace("-", "") == number[6:14]


async def test_students_are_found_by_name_student_number_or_id_number(
    client: StaffClient, world: SampleProvince
) -> None:
    actor = registrar_account(world.school)
    student = world.school.students[1]
    for text in (
        student.id_number,
        student.id_number.lower(),
        student.student_number,
        student.student_number.lower(),
    ):
        assert ids(await client.every(actor, "/v1/students", q=text)) == {str(student.id)}
    assert str(student.id) in ids(await client.every(actor, "/v1/students", q=student.name))
    for text in (student.id_number[:17], student.student_number[:18], "%", "_"):
        assert await client.every(actor, "/v1/students", q=text) == []


async def test_students_cannot_read_the_roll(client: StaffClient, world: SampleProvince) -> None:
    student = world.school.students[0]
    actor = student_account(world.school, student)
    for path in ("/v1/classes", "/v1/students", f"/v1/students/{student.id}"):
        assert (await client.get(actor, path)).status_code == 403


async def test_text_that_the_database_cannot_hold_is_refused(
    client: StaffClient, world: SampleProvince
) -> None:
    answer = await client.get(registrar_account(world.school), "/v1/students", q="a\0b")
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")


async def test_one_class_is_read_by_its_id(client: StaffClient, world: SampleProvince) -> None:
    own, other = world.school.classes
    counselor = counselor_account(world.school, own)
    answer = await client.get(registrar_account(world.school), f"/v1/classes/{other.id}")
    assert (answer.json()["id"], answer.json()["students"]) == (str(other.id), 3)
    assert (await client.get(counselor, f"/v1/classes/{own.id}")).status_code == 200
    foreign = world.sister.classes[0].id
    for actor, hidden in ((counselor, other.id), (registrar_account(world.school), foreign)):
        refused, absent = [await client.get(actor, f"/v1/classes/{each}") for each in (hidden, uuid4())]
        assert refused.status_code == 404
        assert is_same_refusal(refused, absent)


async def test_classes_without_a_counselor_come_first_on_every_page(
    client: StaffClient, owner: Database, app_context: AppContext
) -> None:
    world = await create_sample_province(owner, app_context.keys, classes=5, students=1)
    actor, (first, second, *_) = registrar_account(world.school), world.school.classes
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        for each in (first, second):
            await session.execute(
                update(ClassCounselor).where(ClassCounselor.class_id == each.id).values(until=func.now())
            )
    pages = [
        await client.every(actor, "/v1/classes", sort="unassigned", limit=limit) for limit in (1, 2, 3, 50)
    ]
    assert all([each["id"] for each in page] == [each["id"] for each in pages[-1]] for page in pages)
    assert [each["counselor_id"] is None for each in pages[-1]] == [True, True, False, False, False]
    names = [each["name"] for each in pages[-1]]
    assert names == sorted(names[:2]) + sorted(names[2:])
    free = await client.every(actor, "/v1/classes", unassigned="true")
    assert ids(free) == {str(first.id), str(second.id)}
    assert len(await client.every(actor, "/v1/classes", unassigned="false", limit=2)) == 3
    assert ids(await client.every(actor, "/v1/classes", q=free[0]["name"])) >= {free[0]["id"]}
    assert await client.every(actor, "/v1/classes", q="100%") == []
    held = pages[-1][-1]
    of_one = await client.every(actor, "/v1/classes", counselor_id=str(held["counselor_id"]))
    assert held["id"] in ids(of_one)


@pytest.mark.parametrize("cursor", ["WyJhIl0", "WyJ1bmFzc2lnbmVkIiwgIjF4IiwgIngiXQ"])
async def test_a_cursor_of_another_order_is_refused(
    client: StaffClient, world: SampleProvince, cursor: str
) -> None:
    actor = registrar_account(world.school)
    answer = await client.get(actor, "/v1/classes", sort="unassigned", cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")
