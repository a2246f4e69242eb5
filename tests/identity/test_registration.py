"""Registering a phone (HN334-3.1): real name, one-time code, one key; the answers disclose nothing."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from backend.core.jobs import Priority
from backend.core.match_keys import legal_name, name_key
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.core.web.client import Client
from backend.demo.phone import Phone
from backend.identity.devices import registration_verification
from backend.identity.devices.registration_verification import RealNameUnavailable
from backend.identity.devices.tasks import purge_expired
from backend.identity.policy import province_policy
from backend.identity.sign_in.limits import address_delays
from backend.identity.sign_in.unscoped_queries import count_attempt
from backend.identity.tables import Account, DeviceKey, Registration
from backend.people.tables import Student
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.province import PROVINCE_PATH, SampleStudent

pytestmark = pytest.mark.clause("HN334-3.1")


def wrong_code(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def load_device_keys(scenario: IdentityScenario, student_id: UUID) -> list[DeviceKey]:
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        query = select(DeviceKey).where(DeviceKey.student_id == student_id).order_by(DeviceKey.bound_at)
        return list(await session.scalars(query))


async def test_name_number_and_code_bind_the_phone_and_create_the_account(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = scenario.phone()
    response = await phone.confirm(*await scenario.request_code(phone, student))
    assert response.status_code == 200
    assert scenario.real_name.requests == [(student.name, student.id_number)]
    me = (await phone.get("/v1/me")).json()
    assert me["student_id"] == str(student.id)
    assert (me["done"], me["cool_down_until"]) == (["account"], None)
    assert [(key.jkt, key.status) for key in await load_device_keys(scenario, student.id)] == [
        (phone.thumbprint, "active")
    ]


async def test_code_of_a_registration_goes_before_the_notices_of_a_launch(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    registration_id, _ = await scenario.request_code(scenario.phone(), student)
    jobs = text(
        "SELECT task_name, priority FROM procrastinate_jobs WHERE args ->> 'registration_id' = :registration"
        " OR args ->> 'message_id' IN (SELECT message_id::text FROM notice_delivery WHERE student_id = :student)"
    )
    values = {"registration": registration_id, "student": student.id}
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        priorities = {row.task_name: row.priority for row in await session.execute(jobs, values)}
    assert priorities == {"verify_registration": Priority.HIGH, "deliver_sms": Priority.HIGH}


async def test_an_unknown_id_number_gets_the_same_answers_as_a_known_one(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.set_phone_number(student, "13800000000")
    answers = []
    for name, number in [
        (student.name, student.id_number),
        (student.name, "110105194912310021"),
        ("李四", student.id_number),
    ]:
        phone = scenario.phone()
        requested = await phone.prove("POST", "/v1/registrations", json={"name": name, "id_number": number})
        registration_id = requested.json().pop("registration_id")
        await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
        code = await scenario.sent_code(student) or "000000"
        body = {key: value for key, value in requested.json().items() if key != "registration_id"}
        tries = [
            (await phone.confirm(registration_id, wrong_code(code))).json() | {"instance": ""}
            for _ in range(6)
        ]
        answers.append((requested.status_code, body, tries))
    assert answers[0] == answers[1] == answers[2]
    assert [answer["code"] for answer in answers[0][2]] == ["code_wrong"] * 5 + ["code_exhausted"]
    assert len(scenario.real_name.requests) == 1


async def test_no_code_is_sent_when_the_real_name_does_not_match(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    scenario.real_name.answer = "mismatch"
    await scenario.set_phone_number(student, "13800000000")
    registration_id = await scenario.phone().register(student.name, student.id_number)
    await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
    assert await scenario.sent_code(student) is None


async def test_an_unavailable_real_name_service_is_retried(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.set_phone_number(student, "13800000000")
    registration_id = await scenario.phone().register(student.name, student.id_number)
    scenario.real_name.answer = "unavailable"
    with pytest.raises(RealNameUnavailable):
        await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
    scenario.real_name.answer = "match"
    await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
    first = await scenario.sent_code(student)
    await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
    assert first is not None
    assert await scenario.sent_code(student) == first


async def test_a_name_matches_whatever_its_separators(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.set_phone_number(student, "13800000000")
    spaced = f"{student.name[0]} {student.name[1:]}"
    registration_id = await scenario.phone().register(spaced, student.id_number)
    await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
    assert await scenario.sent_code(student) is not None


@pytest.mark.parametrize(
    ("on_roster", "typed"),
    [
        ("欧阳\u2003四", "欧阳四"),
        ("阿卜杜拉•买买提", "阿卜杜拉・买买提"),
        ("张\u200b三", "\u2067张三\u2069"),
        ("Anne-Marie MARTIN", "ａｎｎｅ－marie martin"),
    ],
)
async def test_typed_name_and_number_match_in_every_spelling(
    scenario: IdentityScenario, on_roster: str, typed: str
) -> None:
    student = scenario.school.students[0]
    await scenario.set_phone_number(student, "13800000000")
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        names = {"name": on_roster, "name_key": name_key(on_roster)}
        await session.execute(update(Student).where(Student.id == student.id).values(names))
    number = f"{student.id_number[:6]} " + "".join(
        chr(ord(digit) + 0xFEE0) for digit in student.id_number[6:]
    )
    registration_id = await scenario.phone().register(typed, number)
    await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
    assert await scenario.sent_code(student) is not None
    assert scenario.real_name.requests == [(legal_name(on_roster), student.id_number)]


async def test_wrong_codes_are_counted_even_though_each_request_fails(scenario: IdentityScenario) -> None:
    phone = scenario.phone()
    registration_id, code = await scenario.request_code(phone, scenario.school.students[0])
    answers = await asyncio.gather(*(phone.confirm(registration_id, wrong_code(code)) for _ in range(8)))
    assert (
        sorted(problem_code(answer.text) for answer in answers) == ["code_exhausted"] * 3 + ["code_wrong"] * 5
    )
    assert problem_code((await phone.confirm(registration_id, code)).text) == "code_exhausted"


async def test_a_code_is_refused_after_expiry_or_from_another_phone(scenario: IdentityScenario) -> None:
    phone = scenario.phone()
    registration_id, code = await scenario.request_code(phone, scenario.school.students[0])
    assert problem_code((await scenario.phone().confirm(registration_id, code)).text) == "not_found"
    scenario.clock.offset = timedelta(seconds=301)
    assert problem_code((await phone.confirm(registration_id, code)).text) == "code_expired"


async def test_ten_parallel_confirmations_bind_one_key(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = scenario.phone()
    requested = await scenario.request_code(phone, student)
    answers = await asyncio.gather(*(phone.confirm(*requested) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert [key.jkt for key in await load_device_keys(scenario, student.id)] == [phone.thumbprint]
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        accounts = await session.scalar(
            select(func.count()).select_from(Account).where(Account.student_id == student.id)
        )
    assert accounts == 1


async def test_one_phone_cannot_be_bound_to_a_second_student(scenario: IdentityScenario) -> None:
    first, second = scenario.school.students[:2]
    phone = await scenario.bind_phone(first)
    answer = await phone.confirm(*await scenario.request_code(phone, second))
    assert (answer.status_code, problem_code(answer.text)) == (409, "device_bound_elsewhere")
    assert await load_device_keys(scenario, second.id) == []
    assert (await phone.get("/v1/me")).json()["student_id"] == str(first.id)


async def test_two_phones_confirmed_at_once_leave_one_active_key(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phones = [scenario.phone(), scenario.phone()]
    requested = [await scenario.request_code(phone, student) for phone in phones]
    answers = await asyncio.gather(
        *(phone.confirm(*each) for phone, each in zip(phones, requested, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert [key.status for key in await load_device_keys(scenario, student.id)] == ["active"]


async def test_a_new_phone_replaces_the_old_one_with_a_seven_day_cool_down(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    old = await scenario.bind_phone(student)
    new = await scenario.bind_phone(student)
    assert problem_code((await old.get("/v1/me")).text) == "phone_replaced"
    me = (await new.get("/v1/me")).json()
    revoked, active = await load_device_keys(scenario, student.id)
    assert (revoked.status, revoked.jkt, active.jkt) == ("revoked", old.thumbprint, new.thumbprint)
    assert active.cool_down_until == active.bound_at + timedelta(days=7)
    assert me["cool_down_until"] is not None
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        names = await session.scalars(
            select(OutboxEvent.name).where(OutboxEvent.payload["student_id"].astext == str(student.id))
        )
        assert set(names) == {"DeviceBound", "RebindingRequested", "DeviceRebound"}


async def test_a_revoked_key_is_never_bound_again(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    old = await scenario.bind_phone(student)
    await scenario.bind_phone(student)
    requested = await scenario.request_code(old, student)
    answer = await old.confirm(*requested, await scenario.binding_code(student))
    assert problem_code(answer.text) == "device_bound_elsewhere"


async def test_a_key_with_too_many_registrations_must_wait(scenario: IdentityScenario) -> None:
    phone = scenario.phone()
    body = {"name": "无此人", "id_number": "110105194912310021"}
    answers = [await phone.prove("POST", "/v1/registrations", json=body) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert answers[-1].headers["retry-after"] == "3600"


async def test_ten_wrong_codes_do_not_stop_the_student_from_binding(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    for _ in range(3):
        phone = scenario.phone()
        registration_id, code = await scenario.request_code(phone, student)
        for _ in range(6):
            await phone.confirm(registration_id, wrong_code(code))
    await scenario.bind_phone(student)


async def request_unsent(scenario: IdentityScenario, student: SampleStudent, phone: Phone) -> str:
    """Request a code that is not sent; the answer does not show it."""
    sent = await scenario.sent_code(student)
    registration_id = await phone.register(student.name, student.id_number)
    await registration_verification.verify_registration(scenario.app_context, UUID(registration_id))
    assert await scenario.sent_code(student) == sent
    return registration_id


async def flood(scenario: IdentityScenario, student: SampleStudent, codes: int = 5) -> None:
    for _ in range(codes):
        await scenario.request_code(scenario.phone(), student)


async def test_a_flood_of_requests_sends_five_codes_an_hour_and_fifteen_a_day(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    for _ in range(3):
        await flood(scenario, student)
        await request_unsent(scenario, student, scenario.phone())
        scenario.clock.offset += timedelta(minutes=61)
    await request_unsent(scenario, student, scenario.phone())
    scenario.clock.offset += timedelta(hours=24)
    await flood(scenario, student, 1)


async def test_the_counselor_is_told_once_a_day_that_no_more_codes_are_sent(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    await flood(scenario, student)
    for _ in range(3):
        await request_unsent(scenario, student, scenario.phone())
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        query = select(func.count()).where(
            OutboxEvent.name == "RegistrationCodesExhausted",
            OutboxEvent.payload["student_id"].astext == str(student.id),
        )
        assert await session.scalar(query) == 1


async def test_a_code_given_in_person_binds_the_phone_despite_a_flood(scenario: IdentityScenario) -> None:
    student, other = scenario.school.students[:2]
    await flood(scenario, student)
    phone = scenario.phone()
    registration_id = await request_unsent(scenario, student, phone)
    refused = await phone.confirm(registration_id, None, await scenario.binding_code(other))
    assert problem_code(refused.text) == "code_wrong"
    code = await scenario.binding_code(student)
    assert (await phone.confirm(registration_id, None, code.lower())).status_code == 200
    second = scenario.phone()
    again = await second.confirm(await request_unsent(scenario, student, second), None, code)
    assert problem_code(again.text) == "code_wrong"


async def test_a_code_given_in_person_does_not_replace_the_code_of_the_sms(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    phone = scenario.phone()
    registration_id, _ = await scenario.request_code(phone, student)
    refused = await phone.confirm(registration_id, None, await scenario.binding_code(student))
    assert problem_code(refused.text) == "code_wrong"


async def test_a_code_given_in_person_does_not_replace_the_real_name(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.set_phone_number(student, "13800000000")
    scenario.real_name.answer = "mismatch"
    for _ in range(6):
        phone = scenario.phone()
        registration_id = await request_unsent(scenario, student, phone)
    refused = await phone.confirm(registration_id, None, await scenario.binding_code(student))
    assert problem_code(refused.text) == "code_wrong"


async def test_a_code_given_in_person_expires(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    code = await scenario.binding_code(student)
    scenario.clock.offset = timedelta(minutes=31)
    await flood(scenario, student)
    phone = scenario.phone()
    refused = await phone.confirm(await request_unsent(scenario, student, phone), None, code)
    assert problem_code(refused.text) == "code_wrong"


async def test_registrations_of_an_address_are_limited_behind_a_proxy(
    scenario: IdentityScenario,
) -> None:
    client = Client(address="203.0.113.9")
    key = client.address_key(scenario.app_context, "registration")
    assert key is not None
    policy = province_policy(scenario.app_context, scenario.clock())
    delays = address_delays(policy, "identity.address.max_registrations")
    at = scenario.clock()
    for _ in range(300):
        assert await count_attempt(scenario.app_context.database, key, delays, timedelta(hours=1), at) is None
    assert await count_attempt(scenario.app_context.database, key, delays, timedelta(hours=1), at) is not None


async def test_unconfirmed_registrations_are_deleted_decoys_included(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = scenario.phone()
    await phone.confirm(*await scenario.request_code(phone, student))
    other = scenario.phone()
    known, code = await scenario.request_code(other, student)
    unknown = await other.register("无此人", "110105194912310021")
    scenario.clock.offset = timedelta(hours=25)
    context = type("Context", (), {"additional_context": {"app_context": scenario.app_context}})()
    await purge_expired(context, 0)
    answers = [await other.confirm(each, code) for each in (known, unknown)]
    assert [problem_code(answer.text) for answer in answers] == ["not_found", "not_found"]
    assert (await phone.get("/v1/me")).status_code == 200


async def test_codes_are_stored_hashed(scenario: IdentityScenario) -> None:
    registration_id, code = await scenario.request_code(scenario.phone(), scenario.school.students[0])
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        row = await session.get_one(Registration, UUID(registration_id))
        assert row.otp_hash is not None
        assert code.encode() not in row.otp_hash


@pytest.mark.parametrize(
    "body",
    [
        {"name": "张三"},
        {"name": "张\0三", "id_number": "110105194912310021"},
        {"name": "张三", "id_number": "1", "result": 1},
    ],
)
async def test_a_malformed_registration_is_refused(scenario: IdentityScenario, body: dict[str, str]) -> None:
    answer = await scenario.phone().prove("POST", "/v1/registrations", json=body)
    assert (answer.status_code, problem_code(answer.text)) == (422, "malformed_request")
