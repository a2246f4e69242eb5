"""Facts for standing: the evidence of every missed roll call, and which part is not on file (invariant 7)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tables import ServiceHeartbeat
from backend.notice.tables import Notice, NoticeMessage, NoticeReceipt
from backend.roll_call.facts_for_standing import RollCallFacts, load_roll_call_facts
from backend.roll_call.launch.audience import Audience
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Challenge, RollCall, RollCallSite, Submission, VerdictRecord
from backend.roll_call.voiding import void_roll_call
from backend.standing.store.tables import PromptRecord
from tests.support.standing.scenario import Registry, opened

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R12")]

COMPLETE = {"window", "availability", "submissions", "versions"}


@pytest.fixture
async def registry(app_context: AppContext, owner: Database) -> Registry:
    return await opened(app_context, owner)


async def load_facts(registry: Registry) -> list[RollCallFacts]:
    async with registry.as_worker() as session:
        return (await load_roll_call_facts(session, {registry.pupil.id: registry.school.id}))[
            registry.pupil.id
        ]


async def load_evidence(registry: Registry) -> set[str]:
    """The evidence of the newest roll call."""
    return set((await load_facts(registry))[-1].evidence)


async def load_blockers(registry: Registry) -> list[str]:
    """The blockers of the prompt that two misses raise."""
    await registry.recompute()
    [prompt] = await registry.rows(PromptRecord)
    return (await registry.step(prompt.id)).blockers


async def delete_heartbeats(registry: Registry, roll_call: RollCall, minutes: int) -> None:
    """Delete the heartbeats of some minutes in the middle of the window."""
    first = roll_call.opens_at.replace(second=0, microsecond=0) + timedelta(minutes=20)
    in_gap = ServiceHeartbeat.minute.between(first, first + timedelta(minutes=minutes - 1))
    async with registry.roll_call_scenario.owner_transaction() as session:
        await session.execute(delete(ServiceHeartbeat).where(in_gap))


async def store_submission(registry: Registry, roll_call: RollCall, finding: str | None) -> None:
    """Store an in-time submission of the pupil, with a verdict if `finding` is given."""
    common = {
        "roll_call_id": roll_call.id,
        "school_id": registry.school.id,
        "term_code": roll_call.term_code,
        "student_id": registry.pupil.id,
    }
    nonce, submission_id = new_id().hex, new_id()
    challenge = Challenge(
        nonce=nonce,
        **common,
        key_thumbprint="t",
        actions=["close_eyes", "turn_left"],
        cannot=[],
        flash=[],
        issued_at=roll_call.opens_at,
        expires_at=roll_call.closes_at,
    )
    submission = Submission(
        id=submission_id,
        **common,
        nonce=nonce,
        key_thumbprint="t",
        in_cool_down=False,
        envelope="-",
        envelope_digest=b"-",
        frame_count=0,
        receipt="-",
        received_at=roll_call.opens_at,
        frames_due_at=roll_call.closes_at,
    )
    async with registry.roll_call_scenario.owner_transaction() as session:
        session.add(challenge)
        await session.flush()
        session.add(submission)
        await session.flush()
        if finding:
            verdict: dict[str, Any] = {
                "finding": finding,
                "reasons": ["outside"],
                "engine": None,
                "trace": {},
            }
            session.add(
                VerdictRecord(submission_id=submission_id, **common, **verdict, at=roll_call.closes_at)
            )


async def test_regular_roll_call_has_complete_evidence(registry: Registry) -> None:
    missed = await registry.misses(2)
    facts = await load_facts(registry)
    assert [fact.roll_call.id for fact in facts] == [each.id for each in missed]
    assert all(fact.evidence == COMPLETE for fact in facts)
    assert all(fact.notice_delivered_at == fact.roll_call.opens_at for fact in facts)
    assert all(fact.launcher == "bureau" for fact in facts)
    assert {outcome for fact in facts for outcome, _ in fact.results} == {Outcome.MISSED}
    assert "incomplete_evidence" not in await load_blockers(registry)


@pytest.mark.clause("R8")
async def test_heartbeat_gap_within_tolerance_keeps_the_evidence(registry: Registry) -> None:
    _, second = await registry.misses(2)
    await delete_heartbeats(registry, second, 5)
    assert await load_evidence(registry) == COMPLETE


@pytest.mark.clause("R8")
async def test_heartbeat_gap_above_tolerance_removes_availability(
    registry: Registry,
) -> None:
    _, second = await registry.misses(2)
    await delete_heartbeats(registry, second, 6)
    assert await load_evidence(registry) == COMPLETE - {"availability"}
    assert "incomplete_evidence" in await load_blockers(registry)


async def test_submission_without_verdict_leaves_incomplete_evidence(registry: Registry) -> None:
    _, second = await registry.misses(2)
    await store_submission(registry, second, finding=None)
    assert await load_evidence(registry) == COMPLETE - {"submissions"}
    assert "incomplete_evidence" in await load_blockers(registry)


async def test_submission_with_verdict_keeps_the_evidence(registry: Registry) -> None:
    _, second = await registry.misses(2)
    await store_submission(registry, second, finding="rejected")
    assert await load_evidence(registry) == COMPLETE


async def test_evidence_without_a_frozen_site_has_no_versions(registry: Registry) -> None:
    _, second = await registry.misses(2)
    async with registry.roll_call_scenario.owner_transaction() as session:
        await session.execute(delete(RollCallSite).where(RollCallSite.roll_call_id == second.id))
    assert await load_evidence(registry) == COMPLETE - {"versions"}
    assert "incomplete_evidence" in await load_blockers(registry)


async def test_undelivered_notice_has_no_delivery_time(registry: Registry) -> None:
    await registry.misses(1)
    await registry.check(told=False)
    assert [fact.notice_delivered_at is None for fact in await load_facts(registry)] == [False, True]
    assert "notice_undelivered" in await load_blockers(registry)


async def test_late_delivery_counts_as_undelivered(registry: Registry) -> None:
    await registry.misses(1)
    late = await registry.check(told=False)
    registry.roll_call_scenario.clock.at = late.opens_at + timedelta(seconds=1)
    await registry.receive_notices(late.id)
    registry.set_clock(hour=12)
    assert (await load_facts(registry))[-1].notice_delivered_at == late.opens_at + timedelta(seconds=1)
    assert "notice_undelivered" in await load_blockers(registry)


async def test_first_successful_receipt_in_any_channel_counts(registry: Registry) -> None:
    missed = await registry.check(told=False)
    async with registry.roll_call_scenario.owner_transaction() as session:
        notice_id = await session.scalar(
            select(Notice.id)
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.group_id == missed.id, Notice.student_id == registry.pupil.id)
        )
        rows = [
            {"channel": channel, "event": event, "at": missed.opens_at + timedelta(minutes=minutes)}
            for channel, event, minutes in (
                ("sms", "failed", 1),
                ("sms", "delivered", 7),
                ("in_app", "opened", 3),
            )
        ]
        common = {"notice_id": notice_id, "recorded_at": registry.at}
        await session.execute(insert(NoticeReceipt), [common | row for row in rows])
    assert (await load_facts(registry))[-1].notice_delivered_at == missed.opens_at + timedelta(minutes=3)


async def test_passed_roll_call_has_no_evidence(registry: Registry) -> None:
    await registry.check(present=[registry.pupil])
    [fact] = await load_facts(registry)
    assert [outcome for outcome, _ in fact.results] == [Outcome.PRESENT]
    assert fact.evidence == frozenset()


async def test_student_without_obligation_has_no_facts(registry: Registry) -> None:
    await registry.check(audience=Audience(class_ids=(registry.school.classes[1].id,)))
    assert await load_facts(registry) == []


async def test_voided_roll_call_has_time_and_both_results(registry: Registry) -> None:
    missed = await registry.check()
    registry.pass_time(minutes=5)
    bureau = registry.bureau
    async with registry.transaction(bureau) as session:
        await void_roll_call(session, bureau, missed.id, "时间有误", registry.at)
    [fact] = await load_facts(registry)
    assert fact.voided_at == registry.at
    assert [outcome for outcome, _ in fact.results] == [Outcome.MISSED, Outcome.EXCUSED]


async def test_launcher_of_a_schools_own_roll_call_is_the_school(registry: Registry) -> None:
    await registry.check(actor=registry.registrar, kind="school_own")
    [fact] = await load_facts(registry)
    assert fact.launcher == "school"
