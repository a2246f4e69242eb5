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
from tests.support.standing.scenario import StandingScenario, create_standing_scenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R12")]

COMPLETE = {"window", "availability", "submissions", "versions"}


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> StandingScenario:
    return await create_standing_scenario(app_context, owner)


async def load_facts(scenario: StandingScenario) -> list[RollCallFacts]:
    async with scenario.as_worker() as session:
        return (await load_roll_call_facts(session, {scenario.pupil.id: scenario.school.id}))[
            scenario.pupil.id
        ]


async def load_evidence(scenario: StandingScenario) -> set[str]:
    """The evidence of the newest roll call."""
    return set((await load_facts(scenario))[-1].evidence)


async def load_blockers(scenario: StandingScenario) -> list[str]:
    """The blockers of the prompt that two misses raise."""
    await scenario.recompute()
    [prompt] = await scenario.rows(PromptRecord)
    return (await scenario.step(prompt.id)).blockers


async def delete_heartbeats(scenario: StandingScenario, roll_call: RollCall, minutes: int) -> None:
    """Delete the heartbeats of some minutes in the middle of the window."""
    first = roll_call.opens_at.replace(second=0, microsecond=0) + timedelta(minutes=20)
    in_gap = ServiceHeartbeat.minute.between(first, first + timedelta(minutes=minutes - 1))
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(delete(ServiceHeartbeat).where(in_gap))


async def store_submission(scenario: StandingScenario, roll_call: RollCall, finding: str | None) -> None:
    """Store an in-time submission of the pupil, with a verdict if `finding` is given."""
    common = {
        "roll_call_id": roll_call.id,
        "school_id": scenario.school.id,
        "term_code": roll_call.term_code,
        "student_id": scenario.pupil.id,
    }
    nonce, submission_id = new_id().hex, new_id()
    challenge = Challenge(
        nonce=nonce,
        **common,
        key_thumbprint="t",
        actions=["close_eyes", "turn_left"],
        cannot=[],
        flash=[],
        cues_ms=[],
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
    async with scenario.roll_call_scenario.owner_transaction() as session:
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


async def test_regular_roll_call_has_complete_evidence(scenario: StandingScenario) -> None:
    missed = await scenario.misses(2)
    facts = await load_facts(scenario)
    assert [fact.roll_call.id for fact in facts] == [each.id for each in missed]
    assert all(fact.evidence == COMPLETE for fact in facts)
    assert all(fact.notice_delivered_at == fact.roll_call.opens_at for fact in facts)
    assert all(fact.launcher == "bureau" for fact in facts)
    assert {outcome for fact in facts for outcome, _ in fact.results} == {Outcome.MISSED}
    assert "incomplete_evidence" not in await load_blockers(scenario)


@pytest.mark.clause("R8")
async def test_heartbeat_gap_within_tolerance_keeps_the_evidence(scenario: StandingScenario) -> None:
    _, second = await scenario.misses(2)
    await delete_heartbeats(scenario, second, 5)
    assert await load_evidence(scenario) == COMPLETE


@pytest.mark.clause("R8")
async def test_heartbeat_gap_above_tolerance_removes_availability(
    scenario: StandingScenario,
) -> None:
    _, second = await scenario.misses(2)
    await delete_heartbeats(scenario, second, 6)
    assert await load_evidence(scenario) == COMPLETE - {"availability"}
    assert "incomplete_evidence" in await load_blockers(scenario)


async def test_submission_without_verdict_leaves_incomplete_evidence(scenario: StandingScenario) -> None:
    _, second = await scenario.misses(2)
    await store_submission(scenario, second, finding=None)
    assert await load_evidence(scenario) == COMPLETE - {"submissions"}
    assert "incomplete_evidence" in await load_blockers(scenario)


async def test_submission_with_verdict_keeps_the_evidence(scenario: StandingScenario) -> None:
    _, second = await scenario.misses(2)
    await store_submission(scenario, second, finding="rejected")
    assert await load_evidence(scenario) == COMPLETE


async def test_evidence_without_a_frozen_site_has_no_versions(scenario: StandingScenario) -> None:
    _, second = await scenario.misses(2)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(delete(RollCallSite).where(RollCallSite.roll_call_id == second.id))
    assert await load_evidence(scenario) == COMPLETE - {"versions"}
    assert "incomplete_evidence" in await load_blockers(scenario)


async def test_undelivered_notice_has_no_delivery_time(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    await scenario.check(announced=False)
    assert [fact.notice_delivered_at is None for fact in await load_facts(scenario)] == [False, True]
    assert "notice_undelivered" in await load_blockers(scenario)


async def test_late_delivery_counts_as_undelivered(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    late = await scenario.check(announced=False)
    scenario.roll_call_scenario.clock.at = late.opens_at + timedelta(seconds=1)
    await scenario.receive_notices(late.id)
    scenario.set_clock(hour=12)
    assert (await load_facts(scenario))[-1].notice_delivered_at == late.opens_at + timedelta(seconds=1)
    assert "notice_undelivered" in await load_blockers(scenario)


async def test_first_successful_receipt_in_any_channel_counts(scenario: StandingScenario) -> None:
    missed = await scenario.check(announced=False)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        notice_id = await session.scalar(
            select(Notice.id)
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.group_id == missed.id, Notice.student_id == scenario.pupil.id)
        )
        rows = [
            {"channel": channel, "event": event, "at": missed.opens_at + timedelta(minutes=minutes)}
            for channel, event, minutes in (
                ("sms", "failed", 1),
                ("sms", "delivered", 7),
                ("in_app", "opened", 3),
            )
        ]
        common = {"notice_id": notice_id, "recorded_at": scenario.at}
        await session.execute(insert(NoticeReceipt), [common | row for row in rows])
    assert (await load_facts(scenario))[-1].notice_delivered_at == missed.opens_at + timedelta(minutes=3)


async def test_passed_roll_call_has_no_evidence(scenario: StandingScenario) -> None:
    await scenario.check(present=[scenario.pupil])
    [fact] = await load_facts(scenario)
    assert [outcome for outcome, _ in fact.results] == [Outcome.PRESENT]
    assert fact.evidence == frozenset()


async def test_student_without_obligation_has_no_facts(scenario: StandingScenario) -> None:
    await scenario.check(audience=Audience(class_ids=(scenario.school.classes[1].id,)))
    assert await load_facts(scenario) == []


async def test_voided_roll_call_has_time_and_both_results(scenario: StandingScenario) -> None:
    missed = await scenario.check()
    scenario.pass_time(minutes=5)
    bureau = scenario.bureau
    async with scenario.transaction(bureau) as session:
        await void_roll_call(session, bureau, missed.id, "时间有误", scenario.at)
    [fact] = await load_facts(scenario)
    assert fact.voided_at == scenario.at
    assert [outcome for outcome, _ in fact.results] == [Outcome.MISSED, Outcome.EXCUSED]


async def test_launcher_of_a_schools_own_roll_call_is_the_school(scenario: StandingScenario) -> None:
    await scenario.check(actor=scenario.registrar, kind="school_own")
    [fact] = await load_facts(scenario)
    assert fact.launcher == "school"
