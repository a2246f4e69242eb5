"""A batch of envelopes: each gets what it would have got alone, and the locks of one keep no other waiting."""

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, update

from backend.core.batching.batch_writer import DEFER
from backend.core.database import driver_connection
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.accounts.activation import activation_gaps
from backend.identity.errors import AccountDisabled, KeyRevoked, ProofReplayed
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


async def arriving(stage: Stage, candidate: Candidate, roll_call_id: UUID) -> CheckInRequest:
    """A good envelope of the candidate that comes now."""
    nonce = await stage.nonce(candidate, roll_call_id)
    signed = envelope(candidate, roll_call_id, nonce, burst(candidate.person))
    return arrival(candidate, roll_call_id, signed, stage.clock())


async def taken(stage: Stage, *arrivals: CheckInRequest) -> list[object]:
    async with stage.app_context.database.transaction(Scope.none()) as session:
        return list(await receive_batch(await driver_connection(session), arrivals, stage.app_context.keys))


async def facts_of(stage: Stage, one: CheckInRequest) -> CheckInFacts:
    async with stage.app_context.database.transaction(Scope.none()) as session:
        (facts,) = await load_facts(await driver_connection(session), [one], wait=False)
        await session.rollback()  # the proof is spent another time
    assert facts is not None
    return facts


async def test_whose_lock_is_held_elsewhere_is_set_aside_and_the_rest_of_the_batch_is_answered(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    other = await stage.activate(stage.school.students[1])
    both = [await arriving(stage, who, launched.roll_call.id) for who in (candidate, other)]
    async with stage.app_context.database.transaction(candidate.actor.scope) as session:
        await lock_obligation(session, launched.roll_call.id, candidate.student_id)
        held, free = await taken(stage, *both)
    assert held is DEFER
    assert isinstance(free, Received)
    (later,) = await taken(stage, both[0])
    assert isinstance(later, Received), "its proof was not spent meanwhile"


async def test_who_is_in_time_waits_for_a_settlement_apart_from_those_who_are_late(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    other = await stage.activate(stage.school.students[1])
    stage.clock.at = launched.roll_call.closes_at
    in_time, late = [await arriving(stage, who, launched.roll_call.id) for who in (candidate, other)]
    late = replace(late, at=launched.roll_call.closes_at + MICROSECOND)
    async with stage.arrange() as session:
        await lock_roll_call_exclusive(session, launched.roll_call.id)
        waiting, told = await taken(stage, in_time, late)
    assert waiting is DEFER
    assert await stage.refusals(other) == [("envelope", "window_closed")], told


async def test_a_second_envelope_of_one_student_sees_what_became_of_the_first(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await arriving(stage, candidate, launched.roll_call.id)
    again = arrival(candidate, launched.roll_call.id, first.compact, stage.clock())
    one, other = await taken(stage, first, again)
    assert isinstance(one, Received)
    assert other is DEFER
    (retried,) = await taken(stage, again)
    assert isinstance(retried, Received)
    assert (retried.receipt, retried.first) == (one.receipt, False)


async def unheard(stage: Stage, one: CheckInRequest) -> type[Exception]:
    (answer,) = await taken(stage, one)
    assert isinstance(answer, UnrecordedError), answer
    return type(answer.error)


async def test_a_spent_proof_a_revoked_key_and_a_disabled_account_are_not_heard(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await arriving(stage, candidate, launched.roll_call.id)
    assert isinstance((await taken(stage, first))[0], Received)
    assert await unheard(stage, first) is ProofReplayed

    def again() -> CheckInRequest:
        return arrival(candidate, launched.roll_call.id, first.compact, stage.clock())

    mine = Account.student_id == candidate.student_id
    async with stage.arrange() as session:
        await session.execute(update(Account).where(mine).values(status="disabled"))
    assert await unheard(stage, again()) is AccountDisabled
    key = DeviceKey.student_id == candidate.student_id
    async with stage.arrange() as session:
        await session.execute(update(DeviceKey).where(key).values(status="revoked"))
    assert await unheard(stage, again()) is KeyRevoked
    assert await stage.refusals(candidate) == []


@pytest.mark.clause("HN334-3.1")
async def test_the_facts_know_the_same_gaps_as_activation(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    one = await arriving(stage, candidate, launched.roll_call.id)
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
    assert (await facts_of(stage, one)).gaps == []
    for change in changes:
        async with stage.arrange() as session:
            await session.execute(change)
        async with stage.app_context.database.transaction(candidate.actor.scope) as session:
            known = await activation_gaps(session, candidate.student_id)
        assert (await facts_of(stage, one)).gaps == known
        assert known
