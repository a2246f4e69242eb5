"""Batches of envelopes: each request gets the same answer as alone, and locks of one do not delay the others."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, update

from backend.core.batching.batch_writer import DEFER
from backend.core.database import driver_connection
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.accounts.activation import open_activation_steps
from backend.identity.consents import choose_non_face_route, return_to_face_route
from backend.identity.errors import AccountIsDisabled, KeyRevoked, ProofReplayed
from backend.identity.tables import Account, DeviceKey, FaceTemplateRecord, NonFaceRoute, Portrait
from backend.people.tables import Consent, RecordCheck, Student
from backend.roll_call.check_in.evaluate import Acknowledgement, UnrecordedRefusal, receive_batch
from backend.roll_call.check_in.repository import CheckInFacts, CheckInRequest, load_check_in_facts
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.outcomes import lock_obligation, lock_roll_call_exclusive
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario
from tests.support.roll_call.student_phone import (
    StudentWithPhone,
    envelope,
    make_check_in_request,
    render_burst,
)


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


async def make_request(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call_id: UUID
) -> CheckInRequest:
    """Make a request with a valid envelope of the student, arriving now."""
    nonce = await scenario.nonce(student, roll_call_id)
    signed = envelope(student, roll_call_id, nonce, render_burst(student.person))
    return make_check_in_request(student, roll_call_id, signed, scenario.clock())


async def receive(scenario: RollCallScenario, *arrivals: CheckInRequest) -> list[object]:
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        return list(
            await receive_batch(await driver_connection(session), arrivals, scenario.app_context.keys)
        )


async def load_request_facts(scenario: RollCallScenario, one: CheckInRequest) -> CheckInFacts:
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        (facts,) = await load_check_in_facts(await driver_connection(session), [one], wait=False)
        await session.rollback()  # so that the proof is not marked as used
    assert facts is not None
    return facts


async def test_locked_request_is_deferred_and_others_are_answered(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    other = await scenario.activate(scenario.school.students[1])
    both = [await make_request(scenario, each, launched.roll_call.id) for each in (student, other)]
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        await lock_obligation(session, launched.roll_call.id, student.student_id)
        locked, answered = await receive(scenario, *both)
    assert locked is DEFER
    assert isinstance(answered, Acknowledgement)
    (later,) = await receive(scenario, both[0])
    assert isinstance(later, Acknowledgement), "the proof of a deferred request is not marked as used"


async def test_in_time_request_waits_for_settlement_and_late_one_does_not(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    other = await scenario.activate(scenario.school.students[1])
    scenario.clock.at = launched.roll_call.closes_at
    in_time, late = [await make_request(scenario, each, launched.roll_call.id) for each in (student, other)]
    late = replace(late, at=launched.roll_call.closes_at + MICROSECOND)
    async with scenario.owner_transaction() as session:
        await lock_roll_call_exclusive(session, launched.roll_call.id)
        in_time_answer, late_answer = await receive(scenario, in_time, late)
    assert in_time_answer is DEFER
    assert await scenario.load_refusals(other) == [("envelope", "window_closed")], late_answer


async def test_second_envelope_of_a_student_waits_for_the_first(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await make_request(scenario, student, launched.roll_call.id)
    repeated = make_check_in_request(student, launched.roll_call.id, first.compact, scenario.clock())
    one, other = await receive(scenario, first, repeated)
    assert isinstance(one, Acknowledgement)
    assert other is DEFER
    (retried,) = await receive(scenario, repeated)
    assert isinstance(retried, Acknowledgement)
    assert (retried.receipt, retried.first) == (one.receipt, False)


async def receive_unrecorded_error(scenario: RollCallScenario, one: CheckInRequest) -> type[Exception]:
    (answer,) = await receive(scenario, one)
    assert isinstance(answer, UnrecordedRefusal), answer
    return type(answer.error)


async def test_used_proof_revoked_key_and_disabled_account_are_refused(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await make_request(scenario, student, launched.roll_call.id)
    assert isinstance((await receive(scenario, first))[0], Acknowledgement)
    assert await receive_unrecorded_error(scenario, first) is ProofReplayed

    def send_again() -> CheckInRequest:
        return make_check_in_request(student, launched.roll_call.id, first.compact, scenario.clock())

    mine = Account.student_id == student.student_id
    async with scenario.owner_transaction() as session:
        await session.execute(update(Account).where(mine).values(status="disabled"))
    assert await receive_unrecorded_error(scenario, send_again()) is AccountIsDisabled
    key = DeviceKey.student_id == student.student_id
    async with scenario.owner_transaction() as session:
        await session.execute(update(DeviceKey).where(key).values(status="revoked"))
    assert await receive_unrecorded_error(scenario, send_again()) is KeyRevoked
    assert await scenario.load_refusals(student) == []


@pytest.mark.clause("HN334-3.1")
async def test_facts_contain_the_same_gaps_as_activation(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    one = await make_request(scenario, student, launched.roll_call.id)
    common = {"school_id": scenario.school.id, "student_id": student.student_id, "at": scenario.clock()}
    withdrawn = {"text_version": "1", "granted": False}
    changes = [
        insert(Consent).values(id=new_id(), kind="face_use", **withdrawn, **common),
        delete(RecordCheck).where(RecordCheck.student_id == student.student_id),
        insert(NonFaceRoute).values(id=new_id(), chosen=True, reason="本人选择", **common),
        delete(Portrait).where(Portrait.student_id == student.student_id),
        insert(Consent).values(id=new_id(), kind="location", **withdrawn, **common),
        delete(NonFaceRoute).where(NonFaceRoute.student_id == student.student_id),
        delete(FaceTemplateRecord).where(FaceTemplateRecord.student_id == student.student_id),
    ]
    assert (await load_request_facts(scenario, one)).gaps == []
    for change in changes:
        async with scenario.owner_transaction() as session:
            await session.execute(change)
        async with scenario.app_context.database.transaction(student.actor.scope) as session:
            gaps = await open_activation_steps(session, student.student_id)
        assert (await load_request_facts(scenario, one)).gaps == gaps
        assert gaps


@pytest.mark.clause("HN334-3.1")
async def test_newest_choice_of_route_decides_at_once_for_an_enrolled_student(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    """Challenges and envelopes read the choice by different queries; both follow it."""
    launched = await scenario.launch()
    envelope = await make_request(scenario, student, launched.roll_call.id)
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        row = await session.get_one(Student, student.student_id)
        await choose_non_face_route(session, row, "不愿意", scenario.clock())
    refused = await scenario.challenge(student, launched.roll_call.id)
    assert isinstance(refused, RecordedRefusal)
    assert refused.error.code == "non_face_route_recorded"
    assert (await load_request_facts(scenario, envelope)).without_face
    scenario.clock.at += timedelta(seconds=1)
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        row = await session.get_one(Student, student.student_id)
        await return_to_face_route(session, row, scenario.clock())
    assert not isinstance(await scenario.challenge(student, launched.roll_call.id), RecordedRefusal)
    assert not (await load_request_facts(scenario, envelope)).without_face
