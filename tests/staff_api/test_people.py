"""Classes and students over HTTP: own school, own classes, masked numbers."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.staff_api.organisation import people
from tests.support.province import (
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
