"""Envelopes that are their own proof of possession: once, on their first send, for this request only."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from backend.core import jws
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.roll_call.envelope import TYPE
from tests.support.roll_call.mobile_client import MobileClient, envelope_path, open_mobile_client
from tests.support.roll_call.student_phone import StudentWithPhone, make_envelope_content

pytestmark = pytest.mark.clause("HN334-3.4")

SECOND = timedelta(seconds=1)


@pytest.fixture
async def api(app_context: AppContext, owner: Database) -> AsyncIterator[MobileClient]:
    async with open_mobile_client(app_context, owner) as api:
        yield api


@pytest.fixture
async def student(api: MobileClient) -> StudentWithPhone:
    return await api.scenario.activate(api.scenario.school.students[0])


@pytest.fixture
async def roll_call_id(api: MobileClient) -> UUID:
    return (await api.scenario.launch()).roll_call.id


def outcome(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


def reason(answer: httpx.Response) -> str:
    """The part of the proof that was refused, or the code that names it."""
    assert answer.status_code == 401, answer.text
    code: str = answer.json()["code"]
    part: str = answer.json()["detail_en"].partition("(")[2].partition(")")[0]
    return part if code == "proof_invalid" else code


async def test_first_send_needs_no_other_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    answer = await api.envelope_alone(student, roll_call_id, compact)
    assert answer.status_code == 201, answer.text
    assert await api.scenario.count_submissions(student) == 1


async def test_resend_with_a_new_proof_gets_the_same_receipt(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    first = await api.envelope_alone(student, roll_call_id, compact)
    api.scenario.clock.at += timedelta(hours=2)
    again = await api.envelope(student, roll_call_id, compact)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_lost_answer_is_repeated_with_a_new_proof_only(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    first = await api.envelope_alone(student, roll_call_id, compact)
    assert outcome(await api.envelope_alone(student, roll_call_id, compact)) == (401, "proof_replayed")
    assert (await api.envelope(student, roll_call_id, compact)).json() == first.json()
    assert await api.scenario.load_refusals(student) == []


async def test_envelope_that_never_arrived_is_accepted_with_a_new_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    api.scenario.clock.at += 61 * SECOND
    late = await api.envelope_alone(student, roll_call_id, compact)
    assert outcome(late) == (401, "proof_clock_wrong")
    assert "server_time" in late.json()
    assert (await api.envelope(student, roll_call_id, compact)).status_code == 201


@pytest.mark.parametrize("seconds", [-60, 60])
async def test_first_send_is_accepted_within_the_window(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID, seconds: int
) -> None:
    issued = api.scenario.clock().timestamp() + seconds
    compact = await api.signed_with_proof(student, roll_call_id, iat=issued)
    assert (await api.envelope_alone(student, roll_call_id, compact)).status_code == 201


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "x" * 129}, "jti"),
        ({"htm": "PUT"}, "htm"),
        ({"htm": None}, "htm"),
        ({"htu": "http://testserver/v1/roll-calls"}, "proof_htu_wrong"),
        ({"htu": None}, "proof_htu_wrong"),
        ({"ath": None}, "proof_ath_wrong"),
        ({"ath": "A" * 43}, "proof_ath_wrong"),
        ({"iat": None}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"iat": True}, "iat"),
        ({"iat": float("nan")}, "iat"),
        ({"iat": 10**400}, "proof_clock_wrong"),
        ({"iat": 0}, "proof_clock_wrong"),
    ],
)
async def test_wrong_claim_is_named_and_nothing_is_recorded(
    api: MobileClient,
    student: StudentWithPhone,
    roll_call_id: UUID,
    claims: dict[str, Any],
    expected: str,
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id, **claims)
    assert reason(await api.envelope_alone(student, roll_call_id, compact)) == expected
    assert await api.scenario.count_submissions(student) == 0
    assert await api.scenario.load_refusals(student) == []


async def test_envelope_without_claims_needs_a_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed(student, roll_call_id)
    api.issue_token(student)
    assert reason(await api.envelope_alone(student, roll_call_id, compact)) == "missing"
    assert reason(await api.envelope_alone(student, roll_call_id, "no.jws.here")) == "missing"
    assert (await api.envelope(student, roll_call_id, compact)).status_code == 201


async def test_malformed_content_with_a_valid_proof_is_recorded(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id, fixes="none")
    assert outcome(await api.envelope_alone(student, roll_call_id, compact)) == (422, "envelope_malformed")
    assert await api.scenario.load_refusals(student) == [("envelope", "envelope_malformed")]
    assert outcome(await api.envelope_alone(student, roll_call_id, compact)) == (401, "proof_replayed")


async def test_signed_bytes_that_are_no_object_are_no_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    api.issue_token(student)
    phone = student.phone
    payloads: tuple[Any, ...] = ([], "text", 1)
    for payload in payloads:
        compact = jws.sign({"typ": TYPE, "jwk": phone.jwk}, payload, phone.key)
        assert reason(await api.envelope_alone(student, roll_call_id, compact)) == "jti"


async def test_first_send_must_be_for_the_address_it_is_sent_to(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    assert reason(await api.envelope_alone(student, new_id(), compact)) == "proof_htu_wrong"


async def test_token_that_expired_meanwhile_needs_a_new_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    api.issue_token(student)
    assert reason(await api.envelope_alone(student, roll_call_id, compact)) == "proof_ath_wrong"
    assert (await api.envelope(student, roll_call_id, compact)).status_code == 201


async def test_parallel_first_sends_take_effect_once(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    answers = await asyncio.gather(*(api.envelope_alone(student, roll_call_id, compact) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 19
    assert await api.scenario.count_submissions(student) == 1


async def test_carried_claims_do_not_matter_to_a_resend(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    other = {"htu": "http://elsewhere/", "iat": 0, "ath": "", "htm": "GET"}
    compact = await api.signed_with_proof(student, roll_call_id, **other)
    assert (await api.envelope(student, roll_call_id, compact)).status_code == 201


async def test_request_without_a_token_is_told_so(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    answer = await api.http.post(envelope_path(roll_call_id), json={"envelope": compact})
    assert outcome(answer) == (401, "token_missing")


async def test_example_client_signs_once_and_resends_with_a_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact, path = await api.signed_with_proof(student, roll_call_id), envelope_path(roll_call_id)
    student.phone.client = api.http
    first = await student.phone.send_envelope(path, compact)
    again = await student.phone.send_envelope(path, compact)
    assert (first.status_code, again.status_code) == (201, 200)
    assert "dpop" not in first.request.headers
    assert again.request.content == first.request.content
    assert again.json() == first.json()


async def test_example_client_repeats_a_refused_first_send(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    api.scenario.clock.at += 61 * SECOND
    api.issue_token(student)
    student.phone.client = api.http
    answer = await student.phone.send_envelope(envelope_path(roll_call_id), compact)
    assert answer.status_code == 201, answer.text
    assert "dpop" in answer.request.headers


# --- overload ---


def change_load_limit(api: MobileClient, queue: int) -> None:
    app_context = api.scenario.app_context
    app_context.settings = app_context.settings.model_copy(update={"intake_max_queue": queue})


async def test_first_send_under_load_is_repeated_with_word_and_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    change_load_limit(api, 0)
    busy = await api.envelope_alone(student, roll_call_id, compact)
    change_load_limit(api, 100)
    assert outcome(busy) == (503, "intake_busy")
    first_arrived, word = api.scenario.clock(), busy.json()["attempted"]
    api.scenario.clock.at += timedelta(minutes=20)
    alone = await api.envelope_alone(student, roll_call_id, compact, attempted=word)
    assert outcome(alone) == (401, "token_expired")
    answer = await api.envelope(student, roll_call_id, compact, attempted=word)
    assert answer.status_code == 201, answer.text
    payload = answer.json()["receipt"].split(".")[1]
    assert first_arrived.isoformat() in _decode(payload)["received_at"]


async def test_word_of_the_server_does_not_replace_a_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    compact = await api.signed_with_proof(student, roll_call_id)
    change_load_limit(api, 0)
    word = (await api.envelope_alone(student, roll_call_id, compact)).json()["attempted"]
    change_load_limit(api, 100)
    for attempted in (word, "", "other"):
        alone = await api.envelope_alone(student, roll_call_id, compact, attempted=attempted)
        assert outcome(alone) == (401, "proof_replayed")
    assert (await api.envelope(student, roll_call_id, compact, attempted=word)).status_code == 201


async def test_envelope_of_no_known_roll_call_uses_up_its_proof(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID
) -> None:
    api.issue_token(student)
    unknown = new_id()
    content = make_envelope_content(unknown, "n" * 32, [b"one"])
    compact = student.phone.sign_with_proof(content, envelope_path(unknown), typ=TYPE)
    assert outcome(await api.envelope_alone(student, unknown, compact)) == (404, "not_found")
    assert outcome(await api.envelope_alone(student, unknown, compact)) == (401, "proof_replayed")


def _decode(part: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded
