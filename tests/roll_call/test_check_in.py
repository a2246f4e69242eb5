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
from backend.roll_call.check_in.evaluate import Acknowledgement
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.tables import Challenge, RollCall, Submission, VerdictRecord
from backend.roll_call.voiding import void_roll_call
from biometrics.pool import FacePool
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario, create_scenario
from tests.support.roll_call.student_phone import StudentWithPhone, envelope, make_fixes, render_burst

SECOND = timedelta(seconds=1)


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


async def recorded_refusal(scenario: RollCallScenario, student: StudentWithPhone, answer: object) -> str:
    """Assert that the answer is a refusal and the newest one recorded; returns its code."""
    assert isinstance(answer, RecordedRefusal), answer
    refusals = await scenario.load_refusals(student)
    assert refusals
    assert refusals[-1][1] == answer.error.code
    return answer.error.code


async def sign_new_envelope(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall, **changes: Any
) -> str:
    nonce = await scenario.nonce(student, roll_call.id)
    return envelope(student, roll_call.id, nonce, render_burst(student.person), **changes)


# --- the window ---


@pytest.mark.clause("HN334-3.4")
async def test_no_challenge_before_the_window_opens(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    opens = scenario.clock() + SECOND
    launched = await scenario.launch(opens_at=opens, closes_at=opens + timedelta(hours=1))
    scenario.clock.at = opens - MICROSECOND
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert await recorded_refusal(scenario, student, answer) == "window_not_open"
    scenario.clock.at = opens
    assert isinstance(await scenario.challenge(student, launched.roll_call.id), Challenge)


@pytest.mark.clause("HN334-3.4")
async def test_closing_instant_is_in_time_and_a_microsecond_later_is_late(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    closes = launched.roll_call.closes_at
    other = await scenario.activate(scenario.school.students[1])
    scenario.clock.at = closes - SECOND
    in_time, late = [await sign_new_envelope(scenario, each, launched.roll_call) for each in (student, other)]
    scenario.clock.at = closes
    assert isinstance(await scenario.send(student, launched.roll_call.id, in_time), Acknowledgement)
    scenario.clock.at = closes + MICROSECOND
    answer = await scenario.send(other, launched.roll_call.id, late)
    assert await recorded_refusal(scenario, other, answer) == "window_closed"
    assert await scenario.count_submissions(other) == 0


async def test_voided_roll_call_refuses_envelopes(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    compact = await sign_new_envelope(scenario, student, launched.roll_call)
    bureau = scenario.bureau
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "停电", scenario.clock())
    answer = await scenario.send(student, launched.roll_call.id, compact)
    assert await recorded_refusal(scenario, student, answer) == "roll_call_voided"


# --- eligibility ---


@pytest.mark.clause("HN334-2.2")
async def test_exempt_student_gets_no_challenge(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, student.student_id)).study_form = "part_time"
    launched = await scenario.launch()
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert await recorded_refusal(scenario, student, answer) == "not_asked"


@pytest.mark.clause("HN334-3.1")
async def test_incomplete_activation_is_refused_with_the_missing_steps(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    async with scenario.owner_transaction() as session:
        await session.execute(delete(Portrait).where(Portrait.student_id == student.student_id))
    launched = await scenario.launch()
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert await recorded_refusal(scenario, student, answer) == "activation_incomplete"
    assert isinstance(answer, RecordedRefusal)
    assert answer.error.params == {"gaps": "portrait"}


@pytest.mark.clause("HN334-3.1")
async def test_non_face_route_is_referred_to_counselor(scenario: RollCallScenario) -> None:
    student = await scenario.activate(scenario.school.students[0], face=False)
    launched = await scenario.launch()
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert await recorded_refusal(scenario, student, answer) == "non_face_route_recorded"


async def test_roll_call_of_another_school_is_not_found(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    outsider = await scenario.activate(scenario.world.sister.students[0], school=scenario.world.sister)
    for identifier in (launched.roll_call.id, new_id()):
        with pytest.raises(NotFound):
            await scenario.challenge(outsider, identifier)
        with pytest.raises(NotFound):
            await scenario.send(
                outsider, identifier, envelope(outsider, identifier, "n" * 32, render_burst(1))
            )
    assert await scenario.load_refusals(outsider) == []


async def test_student_who_has_passed_gets_no_challenge(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    await scenario.pass_roll_call(student, launched.roll_call.id)
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert await recorded_refusal(scenario, student, answer) == "already_present"


async def test_too_many_face_mismatches_are_referred_to_counselor(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    stranger = replace(student, person=student.person + 1)
    for attempt in range(5):
        scenario.clock.at += SECOND
        submission_id = await scenario.check_in(stranger, launched.roll_call.id, first=20 * attempt)
        assert (await scenario.verify(submission_id)).reasons == ["face_mismatch"]
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert await recorded_refusal(scenario, student, answer) == "face_attempts_exhausted"


async def test_envelopes_per_minute_are_limited(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    for _ in range(6):
        await scenario.submit(student, launched.roll_call.id)
    compact = await sign_new_envelope(scenario, student, launched.roll_call)
    answer = await scenario.send(student, launched.roll_call.id, compact)
    assert await recorded_refusal(scenario, student, answer) == "too_many_attempts"
    scenario.clock.at += timedelta(minutes=1)
    assert isinstance(await scenario.send(student, launched.roll_call.id, compact), Acknowledgement)


# --- the nonce ---


async def test_nonce_expires_after_its_lifetime(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    compact = await sign_new_envelope(scenario, student, launched.roll_call)
    scenario.clock.at += timedelta(seconds=180) + MICROSECOND
    answer = await scenario.send(student, launched.roll_call.id, compact)
    assert await recorded_refusal(scenario, student, answer) == "nonce_expired"


async def _invented_nonce(scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall) -> str:
    return "n" * 32


async def _nonce_of_another_student(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall
) -> str:
    return await scenario.nonce(await scenario.activate(scenario.school.students[1]), roll_call.id)


async def _nonce_of_another_roll_call(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall
) -> str:
    other = await scenario.launch(scenario.registrar, kind="school_own")
    return await scenario.nonce(student, other.roll_call.id)


async def _nonce_of_an_earlier_phone(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall
) -> str:
    nonce = await scenario.nonce(student, roll_call.id)
    async with scenario.owner_transaction() as session:
        challenge = await session.get_one(Challenge, nonce)
        challenge.key_thumbprint = "another"
    return nonce


@pytest.mark.parametrize(
    "origin",
    [_invented_nonce, _nonce_of_another_student, _nonce_of_another_roll_call, _nonce_of_an_earlier_phone],
)
async def test_nonce_issued_for_something_else_is_unknown(
    scenario: RollCallScenario,
    student: StudentWithPhone,
    origin: Callable[[RollCallScenario, StudentWithPhone, RollCall], Awaitable[str]],
) -> None:
    launched = await scenario.launch()
    nonce = await origin(scenario, student, launched.roll_call)
    compact = envelope(student, launched.roll_call.id, nonce, render_burst(student.person))
    answer = await scenario.send(student, launched.roll_call.id, compact)
    assert await recorded_refusal(scenario, student, answer) == "nonce_unknown"
    assert await scenario.count_submissions(student) == 0


# --- the envelope ---


async def test_envelope_of_another_roll_call_is_refused(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    other = await scenario.launch(scenario.registrar, kind="school_own")
    compact = await sign_new_envelope(scenario, student, other.roll_call)
    assert isinstance(await scenario.send(student, other.roll_call.id, compact), Acknowledgement)
    answer = await scenario.send(student, launched.roll_call.id, compact)
    assert await recorded_refusal(scenario, student, answer) == "envelope_wrong_roll_call"


async def test_captured_envelope_of_another_student_is_refused(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    victim = await scenario.activate(scenario.school.students[1])
    compact = await sign_new_envelope(scenario, victim, launched.roll_call)
    answer = await scenario.send(student, launched.roll_call.id, compact)
    assert await recorded_refusal(scenario, student, answer) == "envelope_signature_invalid"
    assert isinstance(await scenario.send(victim, launched.roll_call.id, compact), Acknowledgement)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"frames": []}, "envelope_malformed"),
        ({"fixes": make_fixes()[:2]}, "fixes_too_few"),
        ({"fixes": []}, "fixes_too_few"),
        ({"fixes": make_fixes(accuracy_m=None)}, "fix_incomplete"),
        ({"fixes": make_fixes() * 7}, "envelope_malformed"),
        ({"fixes": make_fixes(accuracy_m=float("nan"))}, "fix_not_finite"),
        ({"fixes": make_fixes(lat=95.0)}, "fix_out_of_range"),
        ({"fixes": make_fixes(lon=float("inf"))}, "fix_not_finite"),
        ({"fixes": make_fixes(accuracy_m=0.0)}, "fix_accuracy_invalid"),
        ({"fixes": make_fixes(accuracy_m=1e300)}, "fix_accuracy_invalid"),
        ({"fixes": make_fixes(age_s=3600.0)}, "fix_stale"),
        ({"fixes": make_fixes(age_s=float("nan"))}, "fix_not_finite"),
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
    scenario: RollCallScenario, student: StudentWithPhone, changes: dict[str, Any], code: str
) -> None:
    launched = await scenario.launch()
    compact = await sign_new_envelope(scenario, student, launched.roll_call, **changes)
    answer = await scenario.send(student, launched.roll_call.id, compact)
    assert await recorded_refusal(scenario, student, answer) == code
    assert await scenario.count_submissions(student) == 0


async def test_receipt_is_signed_by_the_server(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    launched = await scenario.launch()
    compact = await sign_new_envelope(scenario, student, launched.roll_call)
    received = await scenario.send(student, launched.roll_call.id, compact)
    assert isinstance(received, Acknowledgement)
    _, key = scenario.app_context.keys.signer("receipt")
    claims = jwt.decode(received.receipt, key.public_key(), algorithms=["ES256"])
    assert claims["submission"] == str(received.submission_id)
    assert claims["student"] == str(student.student_id)
    assert claims["envelope_sha256"] == signed_digest(compact).hex()
    assert claims["received_at"] == scenario.clock().isoformat()


async def test_recently_bound_phone_asks_for_step_up(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    async with scenario.owner_transaction() as session:
        device = await session.scalar(select(DeviceKey).where(DeviceKey.student_id == student.student_id))
        assert device is not None
        device.cool_down_until = scenario.clock() + timedelta(days=1)
    launched = await scenario.launch()
    verdict = await scenario.pass_roll_call(student, launched.roll_call.id)
    assert (verdict.finding, verdict.reasons) == ("step_up", ["device_rebound_recently"])
    assert await scenario.outcome(launched.roll_call.id, student) is None


# --- retries and races ---


@pytest.mark.clause("HN334-3.4")
async def test_retry_gets_the_original_receipt_even_after_the_close(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    compact = await sign_new_envelope(scenario, student, launched.roll_call)
    first = await scenario.send(student, launched.roll_call.id, compact)
    scenario.clock.at = launched.roll_call.closes_at + timedelta(hours=1)
    again = await scenario.send(student, launched.roll_call.id, compact)
    assert isinstance(first, Acknowledgement)
    assert isinstance(again, Acknowledgement)
    assert (first.first, again.first) == (True, False)
    assert (again.receipt, again.submission_id) == (first.receipt, first.submission_id)
    assert await scenario.load_refusals(student) == []


@pytest.mark.clause("HN334-3.4")
async def test_used_nonce_with_another_envelope_is_refused(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    nonce = await scenario.nonce(student, launched.roll_call.id)
    first, other = (envelope(student, launched.roll_call.id, nonce, render_burst(1, n)) for n in (0, 50))
    received = await scenario.send(student, launched.roll_call.id, first)
    refused = await scenario.send(student, launched.roll_call.id, other)
    assert await recorded_refusal(scenario, student, refused) == "nonce_used"
    assert refused.error.status == 409  # type: ignore[union-attr]
    again = await scenario.send(student, launched.roll_call.id, first)
    assert isinstance(received, Acknowledgement)
    assert isinstance(again, Acknowledgement)
    assert again.receipt == received.receipt
    assert await scenario.count_submissions(student) == 1


async def test_twenty_simultaneous_pairs_are_stored_once_each(
    app_context: AppContext, owner: Database, face_pool: FacePool
) -> None:
    """Every other pair repeats one envelope; the rest sign the same nonce twice."""
    scenario = await create_scenario(app_context, owner, face_pool, students=10)
    launched = await scenario.launch()
    roll_call_id = launched.roll_call.id
    students = [await scenario.activate(pupil) for pupil in scenario.school.students]
    sent: list[tuple[StudentWithPhone, str]] = []
    for number, each in enumerate(students):
        nonce = await scenario.nonce(each, roll_call_id)
        one, other = (envelope(each, roll_call_id, nonce, render_burst(each.person)) for _ in range(2))
        sent += [(each, one), (each, one if number % 2 else other)]
    answers = await asyncio.gather(*(scenario.send(each, roll_call_id, compact) for each, compact in sent))
    received = [answer for answer in answers if isinstance(answer, Acknowledgement)]
    assert len(received) == 40
    for first, second in zip(received[::2], received[1::2], strict=True):
        assert (first.receipt, first.submission_id) == (second.receipt, second.submission_id)
        assert {first.first, second.first} == {True, False}
    for each in students:
        assert await scenario.count_submissions(each) == 1
        assert await scenario.load_refusals(each) == []


async def test_refused_challenge_stores_only_the_refusal(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    for _ in range(2):
        await scenario.challenge(student, launched.roll_call.id)
    assert await scenario.load_refusals(student) == [("challenge", "window_closed")] * 2
    async with scenario.owner_transaction() as session:
        assert await session.scalar(_select_any(Challenge, student)) is None
        assert await session.scalar(_select_any(Submission, student)) is None
        assert await session.scalar(_select_any(VerdictRecord, student)) is None


def _select_any(table: Any, student: StudentWithPhone) -> Any:

    return select(table.student_id).where(table.student_id == student.student_id).limit(1)
