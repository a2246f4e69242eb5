"""Deciding: exact restoration, counts without the overturned result, who may decide, and that one decision stands."""

import asyncio
from collections import Counter
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.appeal.errors import (
    AppealClosed,
    CheckVoided,
    ConflictOfInterest,
    FindingMissing,
    FindingNotAsked,
    NotTheDecidingUnit,
)
from backend.appeal.rules import CaseState
from backend.appeal.tables import AppealImpartiality
from backend.core.errors import NotFound, NotPermitted
from backend.org.calendar import official_calendar
from backend.roll_call.outcomes import outcome_of
from backend.roll_call.oversight import void_roll_call
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeEntry, RollCall
from backend.standing.appeal_effects import Finding
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import Result, StudentFacts
from backend.standing.engine.prompts import PromptState
from backend.standing.store.lock import policy_history
from backend.standing.store.tables import AidReleaseRecord, AppealDecided, StudentStanding
from tests.support.appeal import Docket
from tests.support.province import bureau_account
from tests.support.standing.prompt_actions import decide as decide_prompt
from tests.support.standing.prompts import prompt_of, receive

pytestmark = pytest.mark.clause("HN334-4.2")


async def test_an_upheld_appeal_before_the_execution_withdraws_the_prompt(docket: Docket) -> None:
    missed, _ = await docket.registry.misses(2)
    assessment = await docket.registry.recompute()
    decided = await docket.decide(await docket.against_check(missed), finding="present")
    assert decided.state is CaseState.UPHELD
    [prompt] = assessment.prompts
    _, now = await docket.facts()
    assert [each.state for each in now.prompts] == [PromptState.WITHDRAWN]
    assert [(term.misses.consecutive, term.misses.cumulative) for term in now.terms] == [(1, 1)]
    assert len(await docket.registry.events("PromptMoved")) == 1
    assert prompt.prompt_id == now.prompts[0].prompt_id


@pytest.mark.clause("R11")
async def test_an_upheld_appeal_after_the_execution_restores_exactly_and_lifts_the_lock(
    docket: Docket,
) -> None:
    change = await docket.executed()
    registry = docket.registry
    assert await registry.status() == ("01", "part_time")
    [standing] = await registry.rows(StudentStanding)
    assert standing.locked_by == change.id
    await docket.decide(await docket.against_change(change.id))
    assert await registry.status() == ("01", "full_time")
    [standing] = await registry.rows(StudentStanding)
    assert standing.locked_by is None
    entries = await docket.entries()
    assert [(entry.cause, entry.reverses) for entry in entries] == [("expiry", None), ("appeal", change.id)]
    causes = [event["cause"] for event in await registry.events("StandingChanged")]
    assert causes == ["expiry", "appeal"]


@pytest.mark.parametrize("finding", ["present", "excused"])
@pytest.mark.clause("R13")
async def test_what_is_left_is_as_if_the_miss_had_never_been(docket: Docket, finding: Finding) -> None:
    change = await docket.executed()
    missed = await _first_check(docket)
    await docket.decide(await docket.against_check(missed), finding=finding)
    facts, assessment = await docket.facts()
    assert (await docket.entries())[-1].reverses == change.id
    innocent = _never(facts, str(missed.id), Outcome(finding))
    assert _left(assessment) == _left(
        assess(innocent, policy_history(docket.registry.school.path), official_calendar(), assessment.as_of)
    )
    assert assessment.ledger[-1].after == innocent.initial


async def test_an_overturned_result_is_written_to_the_roll_call_and_counts_once(docket: Docket) -> None:
    missed, _, _ = await docket.registry.misses(3)
    await docket.decide(await docket.against_check(missed), finding="excused")
    async with docket.registry.transaction(docket.province) as session:
        entry = await outcome_of(session, missed.id, docket.registry.pupil.id)
    assert entry is not None
    assert (entry.outcome, entry.method, entry.reason, entry.seq) == ("excused", "appeal", "appeal_upheld", 2)
    _, assessment = await docket.facts()
    [term] = assessment.terms
    assert Counter(place.place for place in term.sequence) == {"out": 1, "missed": 2}
    assert (term.misses.consecutive, term.misses.cumulative) == (2, 2)


async def test_a_pass_that_an_appeal_finds_resets_the_consecutive_count(docket: Docket) -> None:
    _, middle, _ = await docket.registry.misses(3)
    await docket.decide(await docket.against_check(middle), finding="present")
    _, assessment = await docket.facts()
    [term] = assessment.terms
    assert (term.misses.consecutive, term.misses.cumulative) == (1, 2)


async def test_both_sides_appeals_upheld_write_one_outcome_and_one_reversal(docket: Docket) -> None:
    await docket.executed()
    missed = await _first_check(docket)
    student = await docket.against_check(missed)
    school = await docket.against_check(missed, docket.registry.registrar)
    await docket.decide(student, finding="excused")
    await docket.decide(school, docket.other_province, finding="excused")
    outcomes = [row for row in await docket.registry.rows(OutcomeEntry) if row.roll_call_id == missed.id]
    assert sorted(row.seq for row in outcomes) == [1, 2]
    assert [entry.cause for entry in await docket.entries()] == ["expiry", "appeal"]


@pytest.mark.clause("HN334-4.1d")
async def test_after_aid_was_released_the_restoration_is_an_event_for_it(docket: Docket) -> None:
    change = await docket.executed()
    assert [row.change_id for row in await docket.registry.rows(AidReleaseRecord)] == [change.id]
    await docket.decide(await docket.against_change(change.id))
    restored = (await docket.registry.events("StandingChanged"))[-1]
    assert restored["entry_id"] == str((await docket.entries())[-1].id)


async def test_a_rejection_leaves_the_change_and_says_so_in_plain_words(docket: Docket) -> None:
    registrar = await docket.registry.stage.account("registrar", docket.registry.school)
    city = await docket.authority(docket.registry.stage.world.city)
    change = await docket.executed()
    appeal = await docket.against_change(change.id)
    rejected = await docket.reject(appeal)
    assert rejected.state is CaseState.REJECTED
    assert await docket.registry.status() == ("01", "part_time")
    await docket.registry.run_events("AppealDecided")
    told = await docket.told(appeal, "appeal_decided")
    assert {docket.registry.pupil.id, registrar.account_id, city.account_id} <= told
    assert "可在期限内向上一级申诉一次" in await docket.words(appeal, "appeal_decided")


async def test_an_upheld_appeal_tells_what_was_restored(docket: Docket) -> None:
    change = await docket.executed()
    appeal = await docket.against_change(change.id)
    await docket.decide(appeal)
    await docket.registry.run_events("AppealDecided")
    assert "学籍恢复原状" in await docket.words(appeal, "appeal_decided")


async def test_a_result_is_overturned_with_a_finding_and_nothing_else_has_one(docket: Docket) -> None:
    change = await docket.executed()
    missed = await _first_check(docket)
    by_check = await docket.against_check(missed)
    by_change = await docket.against_change(change.id)
    with pytest.raises(FindingMissing):
        await docket.decide(by_check)
    for appeal, upheld in ((by_check, False), (by_change, True)):
        with pytest.raises(FindingNotAsked):
            await docket.decide(appeal, upheld=upheld, finding="present")


async def test_nobody_was_present_in_a_voided_check(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    async with docket.registry.transaction(docket.city) as session:
        await void_roll_call(session, docket.city, missed.id, "系统故障", docket.registry.at)
    with pytest.raises(CheckVoided):
        await docket.decide(appeal, finding="present")
    assert (await docket.decide(appeal, finding="excused")).state is CaseState.UPHELD


# --- who may decide ---


async def test_only_the_unit_that_it_was_routed_to_decides(docket: Docket) -> None:
    registry = docket.registry
    appeal = await docket.against_check(await registry.check(actor=docket.province))
    with pytest.raises(NotTheDecidingUnit):
        await docket.decide(appeal, docket.other_province)
    with pytest.raises(NotPermitted):
        await docket.decide(appeal, registry.registrar)
    with pytest.raises(NotFound):
        await docket.decide(appeal, bureau_account(registry.stage.world.other_city))


async def test_who_launched_the_check_does_not_decide_on_it(docket: Docket) -> None:
    appeal = await docket.against_check(await docket.registry.check(actor=docket.province))
    await docket.reject(appeal, docket.city)
    second = await docket.carry_up(appeal)
    with pytest.raises(ConflictOfInterest):
        await docket.decide(second, docket.province)
    assert (await docket.decide(second, docket.other_province, finding="present")).state is CaseState.UPHELD


async def test_a_second_level_of_the_province_is_decided_by_another_account(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    first = await docket.against_check(missed)
    await docket.reject(first, docket.province)
    second = await docket.carry_up(first)
    assert second.case.unit_id == first.case.unit_id
    with pytest.raises(ConflictOfInterest):
        await docket.decide(second, docket.province)
    await docket.decide(second, docket.other_province, finding="excused")


async def test_a_change_decided_by_the_school_goes_to_the_bureau_and_names_who_took_part(
    docket: Docket,
) -> None:
    registry = docket.registry
    for _ in range(2):
        await registry.check(actor=docket.province)
        registry.set_clock(days=1)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    await receive(registry, prompt_id)
    await decide_prompt(registry, prompt_id, reasons="多次未核验")
    [change] = await docket.entries()
    appeal = await docket.against_change(change.id)
    assert appeal.case.unit_id == registry.stage.world.city.id
    [decided_by] = {change.acting_account}
    await docket.decide(appeal, docket.city)
    [row] = [row for row in await _impartiality(docket) if row.appeal_id == appeal.filed.id]
    assert decided_by in row.took_part
    assert docket.province.account_id in row.took_part


async def test_the_database_refuses_a_decider_who_took_part(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    row = {"school_id": appeal.filed.school_id, "filed_by": appeal.filed.filed_by}
    decider = docket.province.account_id
    decided = AppealDecided(
        appeal_id=appeal.filed.id,
        student_id=appeal.filed.student_id,
        upheld=False,
        finding="excused",
        reasons="–",
        decided_by=decider,
        at=docket.registry.at,
        **row,
    )
    with pytest.raises(IntegrityError, match="ck_appeal_impartiality_took_no_part"):
        async with docket.registry.transaction(docket.province) as session:
            session.add(decided)
            await session.flush()
            session.add(
                AppealImpartiality(appeal_id=appeal.filed.id, decided_by=decider, took_part=[decider], **row)
            )


async def test_of_two_decisions_at_once_one_stands(docket: Docket) -> None:
    change = await docket.executed()
    appeal = await docket.against_change(change.id)
    results = await asyncio.gather(
        docket.decide(appeal, docket.province),
        docket.reject(appeal, docket.other_province),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["AppealClosed", "AppealView"]
    [decided] = await docket.registry.rows(AppealDecided)
    expected = ("01", "full_time") if decided.upheld else ("01", "part_time")
    assert await docket.registry.status() == expected


async def test_a_decided_appeal_is_closed(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    await docket.reject(appeal)
    for act in (docket.decide, docket.reject):
        with pytest.raises(AppealClosed):
            await act(appeal, docket.other_province)


async def test_tenants_do_not_see_one_anothers_appeals(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    world = docket.registry.stage.world
    for reader in (docket.province, docket.city, docket.registry.registrar, docket.student):
        assert appeal.filed.id in await docket.listed(reader)
    classmate = docket.registry.student(docket.registry.school.students[1])
    for stranger in (bureau_account(world.other_city), classmate):
        assert appeal.filed.id not in await docket.listed(stranger)


# --- reading ---


async def _first_check(docket: Docket) -> RollCall:
    """The first roll call that the student missed."""
    facts, _ = await docket.facts()
    async with docket.registry.stage.arrange() as session:
        found: RollCall = await session.get_one(RollCall, UUID(facts.checks[0].check_id))
    return found


async def _impartiality(docket: Docket) -> list[AppealImpartiality]:
    async with docket.registry.stage.arrange() as session:
        return list(await session.scalars(select(AppealImpartiality)))


def _never(facts: StudentFacts, check_id: str, outcome: Outcome) -> StudentFacts:
    """The same life with that result from the beginning, and so without prompt, appeal and change."""
    checks = tuple(
        replace(check, results=(Result(outcome, check.results[0].at),))
        if check.check_id == check_id
        else check
        for check in facts.checks
    )
    return replace(facts, checks=checks, deliveries=(), appeals=())


def _left(assessment: Assessment) -> object:
    """What a picture says of now: status, counts, lock, absence, open prompts and warnings."""
    counts = [(term.term, term.misses, term.leave) for term in assessment.terms]
    open_prompts = [prompt.prompt_id for prompt in assessment.open_prompts]
    return (assessment.status, counts, assessment.lock, assessment.absence, open_prompts, assessment.warnings)
