"""Batches of envelopes: each request gets the same answer as alone, and locks of one do not delay the others."""

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, update

from backend.core.batching.batch_writer import DEFER
from backend.core.database import driver_connection
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.accounts.activation import activation_gaps
from backend.identity.errors import AccountIsDisabled, KeyRevoked, ProofReplayed
from backend.identity.tables import Account, DeviceKey, FaceTemplate, NonFaceRoute, Portrait
from backend.people.tables import Consent, RecordCheck
from backend.roll_call.check_in.evaluate import Received, UnrecordedError, receive_batch
from backend.roll_call.check_in.repository import CheckInFacts, CheckInRequest, load_facts
from backend.roll_call.outcomes import lock_obligation, lock_roll_call_exclusive
from tests.support.roll_call.scenario import MICROSECOND, Stage
from tests.support.roll_call.student_phone import Candidate, arrival, burst, envelope


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def make_request(stage: Stage, candidate: Candidate, roll_call_id: UUID) -> CheckInRequest:
    """Make a request with a valid envelope of the candidate, arriving now."""
    nonce = await stage.nonce(candidate, roll_call_id)
    signed = envelope(candidate, roll_call_id, nonce, burst(candidate.person))
    return arrival(candidate, roll_call_id, signed, stage.clock())


async def receive(stage: Stage, *arrivals: CheckInRequest) -> list[object]:
    async with stage.app_context.database.transaction(Scope.none()) as session:
        return list(await receive_batch(await driver_connection(session), arrivals, stage.app_context.keys))


async def load_request_facts(stage: Stage, one: CheckInRequest) -> CheckInFacts:
    async with stage.app_context.database.transaction(Scope.none()) as session:
        (facts,) = await load_facts(await driver_connection(session), [one], wait=False)
        await session.rollback()  # so that the proof is not marked as used
    assert facts is not None
    return facts


async def test_locked_request_is_deferred_and_others_are_answered(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    other = await stage.activate(stage.school.students[1])
    both = [await make_request(stage, each, launched.roll_call.id) for each in (candidate, other)]
    async with stage.app_context.database.transaction(candidate.actor.scope) as session:
        await lock_obligation(session, launched.roll_call.id, candidate.student_id)
        locked, answered = await receive(stage, *both)
    assert locked is DEFER
    assert isinstance(answered, Received)
    (later,) = await receive(stage, both[0])
    assert isinstance(later, Received), "the proof of a deferred request is not marked as used"


async def test_in_time_request_waits_for_settlement_and_late_one_does_not(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    other = await stage.activate(stage.school.students[1])
    stage.clock.at = launched.roll_call.closes_at
    in_time, late = [await make_request(stage, each, launched.roll_call.id) for each in (candidate, other)]
    late = replace(late, at=launched.roll_call.closes_at + MICROSECOND)
    async with stage.arrange() as session:
        await lock_roll_call_exclusive(session, launched.roll_call.id)
        in_time_answer, late_answer = await receive(stage, in_time, late)
    assert in_time_answer is DEFER
    assert await stage.refusals(other) == [("envelope", "window_closed")], late_answer


async def test_second_envelope_of_a_student_waits_for_the_first(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await make_request(stage, candidate, launched.roll_call.id)
    repeated = arrival(candidate, launched.roll_call.id, first.compact, stage.clock())
    one, other = await receive(stage, first, repeated)
    assert isinstance(one, Received)
    assert other is DEFER
    (retried,) = await receive(stage, repeated)
    assert isinstance(retried, Received)
    assert (retried.receipt, retried.first) == (one.receipt, False)


async def receive_unrecorded_error(stage: Stage, one: CheckInRequest) -> type[Exception]:
    (answer,) = await receive(stage, one)
    assert isinstance(answer, UnrecordedError), answer
    return type(answer.error)


async def test_used_proof_revoked_key_and_disabled_account_are_refused(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await make_request(stage, candidate, launched.roll_call.id)
    assert isinstance((await receive(stage, first))[0], Received)
    assert await receive_unrecorded_error(stage, first) is ProofReplayed

    def send_again() -> CheckInRequest:
        return arrival(candidate, launched.roll_call.id, first.compact, stage.clock())

    mine = Account.student_id == candidate.student_id
    async with stage.arrange() as session:
        await session.execute(update(Account).where(mine).values(status="disabled"))
    assert await receive_unrecorded_error(stage, send_again()) is AccountIsDisabled
    key = DeviceKey.student_id == candidate.student_id
    async with stage.arrange() as session:
        await session.execute(update(DeviceKey).where(key).values(status="revoked"))
    assert await receive_unrecorded_error(stage, send_again()) is KeyRevoked
    assert await stage.refusals(candidate) == []


@pytest.mark.clause("HN334-3.1")
async def test_facts_contain_the_same_gaps_as_activation(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    one = await make_request(stage, candidate, launched.roll_call.id)
    common = {"school_id": stage.school.id, "student_id": candidate.student_id, "at": stage.clock()}
    withdrawn = {"text_version": "1", "granted": False}
    changes = [
        insert(Consent).values(id=new_id(), kind="face_use", **withdrawn, **common),
        delete(RecordCheck).where(RecordCheck.student_id == candidate.student_id),
        insert(NonFaceRoute).values(id=new_id(), reason="本人选择", **common),
        delete(Portrait).where(Portrait.student_id == candidate.student_id),
        insert(Consent).values(id=new_id(), kind="location", **withdrawn, **common),
        delete(NonFaceRoute).where(NonFaceRoute.student_id == candidate.student_id),
        delete(FaceTemplate).where(FaceTemplate.student_id == candidate.student_id),
    ]
    assert (await load_request_facts(stage, one)).gaps == []
    for change in changes:
        async with stage.arrange() as session:
            await session.execute(change)
        async with stage.app_context.database.transaction(candidate.actor.scope) as session:
            gaps = await activation_gaps(session, candidate.student_id)
        assert (await load_request_facts(stage, one)).gaps == gaps
        assert gaps
