"""Check-in: every refusal is recorded with its code, a retry gets the original receipt, one envelope counts once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import delete, select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.jws import signed_digest
from backend.identity.tables import DeviceKey, Portrait
from backend.people.tables import Student
from backend.roll_call.check_in.evaluate import Received
from backend.roll_call.eligibility import Refused
from backend.roll_call.tables import Challenge, RollCall, Submission, Verdict
from backend.roll_call.voiding import void_roll_call
from biometrics.pool import FacePool
from tests.support.roll_call.scenario import MICROSECOND, Stage, staged
from tests.support.roll_call.student_phone import Candidate, burst, envelope, fixes

SECOND = timedelta(seconds=1)


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def recorded_refusal(stage: Stage, candidate: Candidate, answer: object) -> str:
    """Assert that the answer is a refusal and the newest one recorded; returns its code."""
    assert isinstance(answer, Refused), answer
    refusals = await stage.refusals(candidate)
    assert refusals
    assert refusals[-1][1] == answer.error.code
    return answer.error.code


async def sign_new_envelope(stage: Stage, candidate: Candidate, roll_call: RollCall, **changes: Any) -> str:
    nonce = await stage.nonce(candidate, roll_call.id)
    return envelope(candidate, roll_call.id, nonce, burst(candidate.person), **changes)


# --- the window ---


@pytest.mark.clause("HN334-3.4")
async def test_no_challenge_before_the_window_opens(stage: Stage, candidate: Candidate) -> None:
    opens = stage.clock() + SECOND
    launched = await stage.launch(opens_at=opens, closes_at=opens + timedelta(hours=1))
    stage.clock.at = opens - MICROSECOND
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await recorded_refusal(stage, candidate, answer) == "window_not_open"
    stage.clock.at = opens
    assert isinstance(await stage.challenge(candidate, launched.roll_call.id), Challenge)


@pytest.mark.clause("HN334-3.4")
async def test_closing_instant_is_in_time_and_a_microsecond_later_is_late(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    closes = launched.roll_call.closes_at
    other = await stage.activate(stage.school.students[1])
    stage.clock.at = closes - SECOND
    in_time, late = [await sign_new_envelope(stage, each, launched.roll_call) for each in (candidate, other)]
    stage.clock.at = closes
    assert isinstance(await stage.send(candidate, launched.roll_call.id, in_time), Received)
    stage.clock.at = closes + MICROSECOND
    answer = await stage.send(other, launched.roll_call.id, late)
    assert await recorded_refusal(stage, other, answer) == "window_closed"
    assert await stage.submissions(other) == 0


async def test_voided_roll_call_refuses_envelopes(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    compact = await sign_new_envelope(stage, candidate, launched.roll_call)
    bureau = stage.bureau
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "停电", stage.clock())
    answer = await stage.send(candidate, launched.roll_call.id, compact)
    assert await recorded_refusal(stage, candidate, answer) == "roll_call_voided"


# --- eligibility ---


@pytest.mark.clause("HN334-2.2")
async def test_exempt_student_gets_no_challenge(stage: Stage, candidate: Candidate) -> None:
    async with stage.arrange() as session:
        (await session.get_one(Student, candidate.student_id)).study_form = "part_time"
    launched = await stage.launch()
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await recorded_refusal(stage, candidate, answer) == "not_asked"


@pytest.mark.clause("HN334-3.1")
async def test_incomplete_activation_is_refused_with_the_missing_steps(
    stage: Stage, candidate: Candidate
) -> None:
    async with stage.arrange() as session:
        await session.execute(delete(Portrait).where(Portrait.student_id == candidate.student_id))
    launched = await stage.launch()
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await recorded_refusal(stage, candidate, answer) == "activation_incomplete"
    assert isinstance(answer, Refused)
    assert answer.error.params == {"gaps": "portrait"}


@pytest.mark.clause("HN334-3.1")
async def test_non_face_route_is_referred_to_counselor(stage: Stage) -> None:
    candidate = await stage.activate(stage.school.students[0], face=False)
    launched = await stage.launch()
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await recorded_refusal(stage, candidate, answer) == "non_face_route_recorded"


async def test_roll_call_of_another_school_is_not_found(stage: Stage) -> None:
    launched = await stage.launch()
    outsider = await stage.activate(stage.world.sister.students[0], school=stage.world.sister)
    for identifier in (launched.roll_call.id, new_id()):
        with pytest.raises(NotFound):
            await stage.challenge(outsider, identifier)
        with pytest.raises(NotFound):
            await stage.send(outsider, identifier, envelope(outsider, identifier, "n" * 32, burst(1)))
    assert await stage.refusals(outsider) == []


async def test_student_who_has_passed_gets_no_challenge(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    await stage.pass_check(candidate, launched.roll_call.id)
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await recorded_refusal(stage, candidate, answer) == "already_present"


async def test_too_many_face_mismatches_are_referred_to_counselor(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    stranger = replace(candidate, person=candidate.person + 1)
    for attempt in range(5):
        stage.clock.at += SECOND
        submission_id = await stage.check_in(stranger, launched.roll_call.id, first=20 * attempt)
        assert (await stage.verify(submission_id)).reasons == ["face_mismatch"]
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await recorded_refusal(stage, candidate, answer) == "face_attempts_exhausted"


async def test_envelopes_per_minute_are_limited(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    for _ in range(6):
        await stage.submit(candidate, launched.roll_call.id)
    compact = await sign_new_envelope(stage, candidate, launched.roll_call)
    answer = await stage.send(candidate, launched.roll_call.id, compact)
    assert await recorded_refusal(stage, candidate, answer) == "too_many_attempts"
    stage.clock.at += timedelta(minutes=1)
    assert isinstance(await stage.send(candidate, launched.roll_call.id, compact), Received)


# --- the nonce ---


async def test_nonce_expires_after_its_lifetime(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    compact = await sign_new_envelope(stage, candidate, launched.roll_call)
    stage.clock.at += timedelta(seconds=180) + MICROSECOND
    answer = await stage.send(candidate, launched.roll_call.id, compact)
    assert await recorded_refusal(stage, candidate, answer) == "nonce_expired"


async def _invented_nonce(stage: Stage, candidate: Candidate, roll_call: RollCall) -> str:
    return "n" * 32


async def _nonce_of_another_student(stage: Stage, candidate: Candidate, roll_call: RollCall) -> str:
    return await stage.nonce(await stage.activate(stage.school.students[1]), roll_call.id)


async def _nonce_of_another_roll_call(stage: Stage, candidate: Candidate, roll_call: RollCall) -> str:
    other = await stage.launch(stage.registrar, kind="school_own")
    return await stage.nonce(candidate, other.roll_call.id)


async def _nonce_of_an_earlier_phone(stage: Stage, candidate: Candidate, roll_call: RollCall) -> str:
    nonce = await stage.nonce(candidate, roll_call.id)
    async with stage.arrange() as session:
        challenge = await session.get_one(Challenge, nonce)
        challenge.key_thumbprint = "another"
    return nonce


@pytest.mark.parametrize(
    "origin",
    [_invented_nonce, _nonce_of_another_student, _nonce_of_another_roll_call, _nonce_of_an_earlier_phone],
)
async def test_nonce_issued_for_something_else_is_unknown(
    stage: Stage,
    candidate: Candidate,
    origin: Callable[[Stage, Candidate, RollCall], Awaitable[str]],
) -> None:
    launched = await stage.launch()
    nonce = await origin(stage, candidate, launched.roll_call)
    compact = envelope(candidate, launched.roll_call.id, nonce, burst(candidate.person))
    answer = await stage.send(candidate, launched.roll_call.id, compact)
    assert await recorded_refusal(stage, candidate, answer) == "nonce_unknown"
    assert await stage.submissions(candidate) == 0


# --- the envelope ---


async def test_envelope_of_another_roll_call_is_refused(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    other = await stage.launch(stage.registrar, kind="school_own")
    compact = await sign_new_envelope(stage, candidate, other.roll_call)
    assert isinstance(await stage.send(candidate, other.roll_call.id, compact), Received)
    answer = await stage.send(candidate, launched.roll_call.id, compact)
    assert await recorded_refusal(stage, candidate, answer) == "envelope_wrong_roll_call"


async def test_captured_envelope_of_another_student_is_refused(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    victim = await stage.activate(stage.school.students[1])
    compact = await sign_new_envelope(stage, victim, launched.roll_call)
    answer = await stage.send(candidate, launched.roll_call.id, compact)
    assert await recorded_refusal(stage, candidate, answer) == "envelope_signature_invalid"
    assert isinstance(await stage.send(victim, launched.roll_call.id, compact), Received)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"frames": []}, "envelope_malformed"),
        ({"fixes": fixes()[:2]}, "envelope_malformed"),
        ({"fixes": fixes() * 7}, "envelope_malformed"),
        ({"fixes": fixes(accuracy_m=float("nan"))}, "fix_not_finite"),
        ({"fixes": fixes(lat=95.0)}, "fix_out_of_range"),
        ({"fixes": fixes(lon=float("inf"))}, "fix_not_finite"),
        ({"fixes": fixes(accuracy_m=0.0)}, "fix_accuracy_invalid"),
        ({"fixes": fixes(accuracy_m=1e300)}, "fix_accuracy_invalid"),
        ({"fixes": fixes(age_s=3600.0)}, "fix_stale"),
        ({"fixes": fixes(age_s=float("nan"))}, "fix_not_finite"),
        ({"frames": [{"sha256": "0" * 64, "size": 1, "at_ms": 0}] * 8}, "envelope_malformed"),
        (
            {"frames": [{"sha256": f"{n:064x}", "size": 2**40, "at_ms": 0} for n in range(8)]},
            "envelope_malformed",
        ),
        (
            {"frames": [{"sha256": f"{n:064x}", "size": 1, "at_ms": 0} for n in range(7)]},
            "envelope_malformed",
        ),
        (
            {"frames": [{"sha256": f"{n:064x}", "size": 1, "at_ms": 0} for n in range(17)]},
            "envelope_malformed",
        ),
        ({"verdict\0": "present"}, "envelope_malformed"),
        ({"nonce": "n" * 30 + "\0"}, "envelope_malformed"),
        ({"claims": {"padding": "x" * 16384}}, "envelope_too_large"),
    ],
)
async def test_invalid_content_is_refused_with_its_code(
    stage: Stage, candidate: Candidate, changes: dict[str, Any], code: str
) -> None:
    launched = await stage.launch()
    compact = await sign_new_envelope(stage, candidate, launched.roll_call, **changes)
    answer = await stage.send(candidate, launched.roll_call.id, compact)
    assert await recorded_refusal(stage, candidate, answer) == code
    assert await stage.submissions(candidate) == 0


async def test_receipt_is_signed_by_the_server(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    compact = await sign_new_envelope(stage, candidate, launched.roll_call)
    received = await stage.send(candidate, launched.roll_call.id, compact)
    assert isinstance(received, Received)
    _, key = stage.app_context.keys.signer("receipt")
    claims = jwt.decode(received.receipt, key.public_key(), algorithms=["ES256"])
    assert claims["submission"] == str(received.submission_id)
    assert claims["student"] == str(candidate.student_id)
    assert claims["envelope_sha256"] == signed_digest(compact).hex()
    assert claims["received_at"] == stage.clock().isoformat()


async def test_recently_bound_phone_asks_for_step_up(stage: Stage, candidate: Candidate) -> None:
    async with stage.arrange() as session:
        device = await session.scalar(select(DeviceKey).where(DeviceKey.student_id == candidate.student_id))
        assert device is not None
        device.cool_down_until = stage.clock() + timedelta(days=1)
    launched = await stage.launch()
    verdict = await stage.pass_check(candidate, launched.roll_call.id)
    assert (verdict.finding, verdict.reasons) == ("step_up", ["device_rebound_recently"])
    assert await stage.outcome(launched.roll_call.id, candidate) is None


# --- retries and races ---


@pytest.mark.clause("HN334-3.4")
async def test_retry_gets_the_original_receipt_even_after_the_close(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    compact = await sign_new_envelope(stage, candidate, launched.roll_call)
    first = await stage.send(candidate, launched.roll_call.id, compact)
    stage.clock.at = launched.roll_call.closes_at + timedelta(hours=1)
    again = await stage.send(candidate, launched.roll_call.id, compact)
    assert isinstance(first, Received)
    assert isinstance(again, Received)
    assert (first.first, again.first) == (True, False)
    assert (again.receipt, again.submission_id) == (first.receipt, first.submission_id)
    assert await stage.refusals(candidate) == []


async def test_twenty_simultaneous_pairs_are_stored_once_each(
    app_context: AppContext, owner: Database, face_pool: FacePool
) -> None:
    """Every other pair repeats one envelope; the rest sign the same nonce twice."""
    stage = await staged(app_context, owner, face_pool, students=10)
    launched = await stage.launch()
    roll_call_id = launched.roll_call.id
    candidates = [await stage.activate(pupil) for pupil in stage.school.students]
    sent: list[tuple[Candidate, str]] = []
    for number, each in enumerate(candidates):
        nonce = await stage.nonce(each, roll_call_id)
        one, other = (envelope(each, roll_call_id, nonce, burst(each.person)) for _ in range(2))
        sent += [(each, one), (each, one if number % 2 else other)]
    answers = await asyncio.gather(*(stage.send(each, roll_call_id, compact) for each, compact in sent))
    received = [answer for answer in answers if isinstance(answer, Received)]
    assert len(received) == 40
    for first, second in zip(received[::2], received[1::2], strict=True):
        assert (first.receipt, first.submission_id) == (second.receipt, second.submission_id)
        assert {first.first, second.first} == {True, False}
    for each in candidates:
        assert await stage.submissions(each) == 1
        assert await stage.refusals(each) == []


async def test_refused_challenge_stores_only_the_refusal(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    for _ in range(2):
        await stage.challenge(candidate, launched.roll_call.id)
    assert await stage.refusals(candidate) == [("challenge", "window_closed")] * 2
    async with stage.arrange() as session:
        assert await session.scalar(_select_any(Challenge, candidate)) is None
        assert await session.scalar(_select_any(Submission, candidate)) is None
        assert await session.scalar(_select_any(Verdict, candidate)) is None


def _select_any(table: Any, candidate: Candidate) -> Any:

    return select(table.student_id).where(table.student_id == candidate.student_id).limit(1)
