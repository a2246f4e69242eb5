"""What a sanction must be able to name of every missed check, and what is missing where it is missing (invariant 7)."""

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
from backend.roll_call.oversight import void_roll_call
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Challenge, RollCall, RollCallSite, Submission, Verdict
from backend.standing.store.tables import PromptRecord
from tests.support.standing.scenario import Registry, opened

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R12")]

COMPLETE = {"window", "availability", "submissions", "versions"}


@pytest.fixture
async def registry(app_context: AppContext, owner: Database) -> Registry:
    return await opened(app_context, owner)


async def recorded(registry: Registry) -> list[RollCallFacts]:
    async with registry.as_worker() as session:
        return (await load_roll_call_facts(session, {registry.pupil.id: registry.school.id}))[
            registry.pupil.id
        ]


async def evidence(registry: Registry) -> set[str]:
    """Of the newest check."""
    return set((await recorded(registry))[-1].evidence)


async def blockers(registry: Registry) -> list[str]:
    """Of the prompt that two misses raised."""
    await registry.recompute()
    [prompt] = await registry.rows(PromptRecord)
    return (await registry.step(prompt.id)).blockers


async def lose_marks(registry: Registry, roll_call: RollCall, minutes: int) -> None:
    """So many minutes in the middle of the window left no mark."""
    first = roll_call.opens_at.replace(second=0, microsecond=0) + timedelta(minutes=20)
    lost = ServiceHeartbeat.minute.between(first, first + timedelta(minutes=minutes - 1))
    async with registry.stage.arrange() as session:
        await session.execute(delete(ServiceHeartbeat).where(lost))


async def send_something(registry: Registry, roll_call: RollCall, finding: str | None) -> None:
    """An envelope in time of the pupil, judged as `finding` says, or not at all."""
    of = {
        "roll_call_id": roll_call.id,
        "school_id": registry.school.id,
        "term_code": roll_call.term_code,
        "student_id": registry.pupil.id,
    }
    nonce, submission_id = new_id().hex, new_id()
    challenge = Challenge(
        nonce=nonce,
        **of,
        key_thumbprint="t",
        actions=["close_eyes", "turn_left"],
        cannot=[],
        flash=[],
        issued_at=roll_call.opens_at,
        expires_at=roll_call.closes_at,
    )
    submission = Submission(
        id=submission_id,
        **of,
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
    async with registry.stage.arrange() as session:
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
            session.add(Verdict(submission_id=submission_id, **of, **verdict, at=roll_call.closes_at))


async def test_a_check_that_went_as_it_should_carries_all_its_evidence(registry: Registry) -> None:
    missed = await registry.misses(2)
    found = await recorded(registry)
    assert [check.roll_call.id for check in found] == [each.id for each in missed]
    assert all(check.evidence == COMPLETE for check in found)
    assert all(check.notice_delivered_at == check.roll_call.opens_at for check in found)
    assert all(check.launcher == "bureau" for check in found)
    assert {outcome for check in found for outcome, _ in check.results} == {Outcome.MISSED}
    assert "incomplete_evidence" not in await blockers(registry)


@pytest.mark.clause("R8")
async def test_a_gap_in_the_marks_within_what_is_tolerated_takes_no_evidence(registry: Registry) -> None:
    _, second = await registry.misses(2)
    await lose_marks(registry, second, 5)
    assert await evidence(registry) == COMPLETE


@pytest.mark.clause("R8")
async def test_one_minute_more_and_nobody_can_say_that_the_student_could_have_been_there(
    registry: Registry,
) -> None:
    _, second = await registry.misses(2)
    await lose_marks(registry, second, 6)
    assert await evidence(registry) == COMPLETE - {"availability"}
    assert "incomplete_evidence" in await blockers(registry)


async def test_a_submission_that_nobody_judged_leaves_the_evidence_incomplete(registry: Registry) -> None:
    _, second = await registry.misses(2)
    await send_something(registry, second, finding=None)
    assert await evidence(registry) == COMPLETE - {"submissions"}
    assert "incomplete_evidence" in await blockers(registry)


async def test_a_submission_that_was_judged_is_evidence(registry: Registry) -> None:
    _, second = await registry.misses(2)
    await send_something(registry, second, finding="rejected")
    assert await evidence(registry) == COMPLETE


async def test_without_a_frozen_site_there_is_no_version_to_name(registry: Registry) -> None:
    _, second = await registry.misses(2)
    async with registry.stage.arrange() as session:
        await session.execute(delete(RollCallSite).where(RollCallSite.roll_call_id == second.id))
    assert await evidence(registry) == COMPLETE - {"versions"}
    assert "incomplete_evidence" in await blockers(registry)


async def test_a_notice_that_reached_nobody_leaves_no_delivery(registry: Registry) -> None:
    await registry.misses(1)
    await registry.check(told=False)
    assert [check.notice_delivered_at is None for check in await recorded(registry)] == [False, True]
    assert "notice_undelivered" in await blockers(registry)


async def test_a_notice_that_came_too_late_to_heed_does_not_count_as_delivered(registry: Registry) -> None:
    await registry.misses(1)
    late = await registry.check(told=False)
    registry.stage.clock.at = late.opens_at + timedelta(seconds=1)
    await registry.receive_notices(late.id)
    registry.set_clock(hour=12)
    assert (await recorded(registry))[-1].notice_delivered_at == late.opens_at + timedelta(seconds=1)
    assert "notice_undelivered" in await blockers(registry)


async def test_the_first_receipt_in_any_channel_counts_and_a_failed_one_is_none(registry: Registry) -> None:
    missed = await registry.check(told=False)
    async with registry.stage.arrange() as session:
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
    assert (await recorded(registry))[-1].notice_delivered_at == missed.opens_at + timedelta(minutes=3)


async def test_a_check_that_was_passed_needs_no_evidence(registry: Registry) -> None:
    await registry.check(present=[registry.pupil])
    [check] = await recorded(registry)
    assert [outcome for outcome, _ in check.results] == [Outcome.PRESENT]
    assert check.evidence == frozenset()


async def test_who_owed_no_presence_has_no_check(registry: Registry) -> None:
    await registry.check(audience=Audience(class_ids=(registry.school.classes[1].id,)))
    assert await recorded(registry) == []


async def test_a_voided_check_says_when_and_keeps_both_results(registry: Registry) -> None:
    missed = await registry.check()
    registry.pass_time(minutes=5)
    bureau = registry.bureau
    async with registry.transaction(bureau) as session:
        await void_roll_call(session, bureau, missed.id, "时间有误", registry.at)
    [check] = await recorded(registry)
    assert check.voided_at == registry.at
    assert [outcome for outcome, _ in check.results] == [Outcome.MISSED, Outcome.EXCUSED]


async def test_a_schools_own_check_is_launched_by_the_school(registry: Registry) -> None:
    await registry.check(actor=registry.registrar, kind="school_own")
    [check] = await recorded(registry)
    assert check.launcher == "school"
