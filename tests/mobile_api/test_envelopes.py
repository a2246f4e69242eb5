"""Envelopes under load: a rejected attempt does not become late, and its retry token is of no use for anything else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest

from backend.core.app_context import AppContext
from backend.core.availability import LoadShedding, load_overloaded_seconds
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.roll_call.check_in.repository import AcceptedCheckIn
from backend.roll_call.check_in.retry_token import RetryToken, sign_retry_token
from tests.support.roll_call.mobile_client import MobileClient, open_mobile_client
from tests.support.roll_call.scenario import MICROSECOND
from tests.support.roll_call.student_phone import StudentWithPhone, envelope, render_burst

pytestmark = pytest.mark.clause("HN334-3.4")

SECOND = timedelta(seconds=1)


@pytest.fixture
async def api(app_context: AppContext, owner: Database) -> AsyncIterator[MobileClient]:
    async with open_mobile_client(app_context, owner) as api:
        yield api


@pytest.fixture
async def student(api: MobileClient) -> StudentWithPhone:
    return await api.scenario.activate(api.scenario.school.students[0])


def change_settings(api: MobileClient, **settings: Any) -> None:
    """Change the settings of the process, such as its load limits."""
    app_context = api.scenario.app_context
    app_context.settings = app_context.settings.model_copy(update=settings)


async def send_under_load(
    api: MobileClient, student: StudentWithPhone, roll_call_id: UUID, compact: str, **more: Any
) -> httpx.Response:
    """The answer to an envelope that exceeds the load limit."""
    change_settings(api, intake_max_queue=0)
    answer = await api.envelope(student, roll_call_id, compact, **more)
    change_settings(api, intake_max_queue=100)
    return answer


def decode_token(api: MobileClient, token: str) -> dict[str, Any]:
    _, key = api.scenario.app_context.keys.signer("receipt")
    claims: dict[str, Any] = jwt.decode(token, key.public_key(), algorithms=["ES256"])
    return claims


async def test_envelope_under_load_gets_503_with_a_signed_retry_token(
    api: MobileClient, student: StudentWithPhone
) -> None:
    launched = await api.scenario.launch()
    compact = await api.signed(student, launched.roll_call.id)
    answer = await send_under_load(api, student, launched.roll_call.id, compact)
    assert (answer.status_code, answer.json()["code"]) == (503, "intake_busy")
    assert (
        1 <= int(answer.headers["retry-after"]) <= 1 + api.scenario.app_context.settings.intake_jitter_seconds
    )
    claims = decode_token(api, answer.json()["attempted"])
    assert (claims["kind"], claims["account"]) == ("attempted", str(student.actor.account_id))
    assert datetime.fromisoformat(claims["attempted_at"]) == api.scenario.clock()
    assert await api.scenario.count_submissions(student) == 0
    assert await api.scenario.load_refusals(student) == []


async def test_retry_after_the_close_counts_from_the_rejected_attempt(
    api: MobileClient, student: StudentWithPhone
) -> None:
    launched = await api.scenario.launch()
    roll_call = launched.roll_call
    api.scenario.clock.at = roll_call.closes_at
    compact = await api.signed(student, roll_call.id)
    token = (await send_under_load(api, student, roll_call.id, compact)).json()["attempted"]
    api.scenario.clock.at += 5 * 60 * SECOND
    answer = await api.envelope(student, roll_call.id, compact, attempted=token)
    assert answer.status_code == 201, answer.text
    receipt = decode_token(api, answer.json()["receipt"])
    assert datetime.fromisoformat(receipt["received_at"]) == roll_call.closes_at
    assert datetime.fromisoformat(answer.json()["frames_due_at"]) > api.scenario.clock()


async def test_second_rejection_keeps_the_first_time(api: MobileClient, student: StudentWithPhone) -> None:
    launched = await api.scenario.launch()
    compact = await api.signed(student, launched.roll_call.id)
    first = (await send_under_load(api, student, launched.roll_call.id, compact)).json()["attempted"]
    api.scenario.clock.at += 30 * SECOND
    again = await send_under_load(api, student, launched.roll_call.id, compact, attempted=first)
    assert again.json()["attempted"] == first


async def test_attempt_rejected_after_the_close_stays_late(
    api: MobileClient, student: StudentWithPhone
) -> None:
    launched = await api.scenario.launch()
    api.scenario.clock.at = launched.roll_call.closes_at
    compact = await api.signed(student, launched.roll_call.id)
    api.scenario.clock.at += MICROSECOND
    token = (await send_under_load(api, student, launched.roll_call.id, compact)).json()["attempted"]
    answer = await api.envelope(student, launched.roll_call.id, compact, attempted=token)
    assert (answer.status_code, answer.json()["code"]) == (409, "window_closed")


@pytest.mark.parametrize(
    "changed", ["account_id", "roll_call_id", "digest", "at", "key", "receipt", "nothing signed", "expired"]
)
async def test_retry_token_for_something_else_is_ignored(
    api: MobileClient, student: StudentWithPhone, changed: str
) -> None:
    launched = await api.scenario.launch()
    roll_call, keys = launched.roll_call, api.scenario.app_context.keys
    api.scenario.clock.at = roll_call.closes_at
    compact = await api.signed(student, roll_call.id)
    claims = decode_token(
        api, (await send_under_load(api, student, roll_call.id, compact)).json()["attempted"]
    )
    api.scenario.clock.at += 60 * SECOND
    contents: dict[str, Any] = {
        "account_id": student.actor.account_id,
        "roll_call_id": roll_call.id,
        "digest": bytes.fromhex(claims["envelope_sha256"]),
        "at": roll_call.closes_at,
    }
    others = {"account_id": new_id(), "roll_call_id": new_id(), "digest": b"\0" * 32}
    others["at"] = api.scenario.clock() + SECOND
    token = sign_retry_token(
        keys, RetryToken(**(contents | {key: others[key] for key in others if key == changed}))
    )
    if changed == "key":
        token = student.phone.sign(claims, typ="dianming-attempted+jws")
    elif changed == "receipt":
        _, key = keys.signer("receipt")
        token = jwt.encode(
            claims, key, algorithm="ES256", headers={"kid": "1", "typ": "dianming-receipt+jws"}
        )
    elif changed == "nothing signed":
        token = "no.signed.token"
    elif changed == "expired":
        api.scenario.clock.at += timedelta(seconds=api.scenario.app_context.settings.retry_token_ttl_seconds)
    answer = await api.envelope(student, roll_call.id, compact, attempted=token)
    assert (answer.status_code, answer.json()["code"]) == (409, "window_closed")


async def test_request_without_access_token_gets_no_retry_token(
    api: MobileClient, student: StudentWithPhone
) -> None:
    launched = await api.scenario.launch()
    compact = await api.signed(student, launched.roll_call.id)
    change_settings(api, intake_max_queue=0)
    path = f"/v1/roll-calls/{launched.roll_call.id}/envelopes"
    answer = await api.http.post(path, json={"envelope": compact})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


async def test_each_second_with_rejections_is_recorded(api: MobileClient, student: StudentWithPhone) -> None:
    app_context, start = api.scenario.app_context, api.scenario.clock()
    launched = await api.scenario.launch()
    compact = await api.signed(student, launched.roll_call.id)
    for _ in range(3):
        await send_under_load(api, student, launched.roll_call.id, compact)
    await app_context.service(LoadShedding).record(app_context)
    await send_under_load(api, student, launched.roll_call.id, compact)
    await app_context.service(LoadShedding).record(app_context)
    async with app_context.database.transaction(Scope.none()) as session:
        seconds = await load_overloaded_seconds(session, (start, start))
    assert seconds == [(start.replace(microsecond=0), 4)]


# --- batches ---


async def test_envelopes_of_one_batch_get_their_own_answers(api: MobileClient) -> None:
    scenario = api.scenario
    launched = await scenario.launch()
    one, other, stranger = [await scenario.activate(scenario.school.students[n]) for n in range(3)]
    first_envelope, repeated = [await api.signed(each, launched.roll_call.id) for each in (one, other)]
    forged = envelope(one, launched.roll_call.id, "n" * 32, render_burst(stranger.person))
    answers = await asyncio.gather(
        *(
            api.envelope(who, launched.roll_call.id, compact)
            for who, compact in (
                (one, first_envelope),
                (other, repeated),
                (other, repeated),
                (stranger, forged),
            )
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 201, 201, 422]
    assert answers[1].json() == answers[2].json()
    assert await scenario.count_submissions(other) == 1
    assert await scenario.load_refusals(stranger) == [("envelope", "envelope_signature_invalid")]


async def test_envelope_that_fails_its_batch_fails_no_other(
    api: MobileClient, student: StudentWithPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = api.scenario
    launched = await scenario.launch()
    broken = await scenario.activate(scenario.school.students[1])
    compacts = {who.student_id: await api.signed(who, launched.roll_call.id) for who in (student, broken)}
    monkeypatch.setattr(
        "backend.roll_call.check_in.repository.AcceptedCheckIn.row", row_with_unknown_nonce(broken)
    )
    answers = await asyncio.gather(
        *(api.envelope(who, launched.roll_call.id, compacts[who.student_id]) for who in (broken, student))
    )
    assert [answer.status_code for answer in answers] == [500, 201]
    assert (await scenario.count_submissions(broken), await scenario.count_submissions(student)) == (0, 1)


def row_with_unknown_nonce(broken: StudentWithPhone) -> Any:
    original_row = AcceptedCheckIn.row

    def row(stored: AcceptedCheckIn, number: int) -> dict[str, Any]:
        changes = {"nonce": "unknown"} if stored.student_id == broken.student_id else {}
        return original_row(stored, number) | changes

    return row


# --- polling ---


@pytest.mark.parametrize("path", ["/roll-calls", "/roll-calls/{}", "/roll-calls/{}/attempts"])
async def test_unchanged_resource_is_304_until_something_changes(
    api: MobileClient, student: StudentWithPhone, path: str
) -> None:
    launched = await api.scenario.launch()
    address = path.format(launched.roll_call.id)

    async def ask(tag: str | None = None) -> httpx.Response:
        headers = {"If-None-Match": tag} if tag else {}
        return await api.get(student, address, headers=headers)

    first = await ask()
    assert first.status_code == 200
    tag = first.headers["etag"]
    api.scenario.clock.at += SECOND
    again = await ask(tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    await api.scenario.submit(student, launched.roll_call.id)
    after = await ask(tag)
    assert after.status_code == 200
    assert after.headers["etag"] != tag


async def test_change_by_time_alone_changes_the_etag(api: MobileClient, student: StudentWithPhone) -> None:
    launched = await api.scenario.launch()
    address = f"/roll-calls/{launched.roll_call.id}"
    tag = (await api.get(student, address)).headers["etag"]
    api.scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    closed = await api.get(student, address, headers={"If-None-Match": f'"other", {tag}'})
    assert (closed.status_code, closed.json()["state"]) == (200, "closed")


async def test_etag_of_a_classmate_does_not_match(api: MobileClient, student: StudentWithPhone) -> None:
    await api.scenario.launch()
    classmate = await api.scenario.activate(api.scenario.school.students[1])
    tag = (await api.get(classmate, "/roll-calls")).headers["etag"]
    assert (await api.get(student, "/roll-calls", headers={"If-None-Match": tag})).status_code == 200


async def test_ask_after_tells_the_phone_when_to_poll_again(
    api: MobileClient, student: StudentWithPhone
) -> None:
    launched = await api.scenario.launch()
    address = f"/roll-calls/{launched.roll_call.id}"
    first = (await api.get(student, address)).json()["ask_after_s"]
    assert 0 <= first <= 120
    api.scenario.clock.at += timedelta(seconds=121)
    assert (await api.get(student, address)).json()["ask_after_s"] == 0
