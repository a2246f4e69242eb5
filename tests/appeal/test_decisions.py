"""Decisions on appeals: exact restoration, recounting, who may decide, and that there is only one decision."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from backend.appeal.errors import (
    AppealClosed,
    CheckVoided,
    ConflictOfInterest,
    FindingMissing,
    FindingNotAsked,
    NotTheDecidingUnit,
)
from backend.appeal.queries import AppealSearch, AppealView, load_appeals_page
from backend.appeal.rules import AppealState
from backend.appeal.tables import AppealImpartiality
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import PageRequest
from backend.identity.tables import Account
from backend.org.calendar import official_calendar
from backend.roll_call.outcomes import find_current_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeEntry, RollCall
from backend.roll_call.voiding import void_roll_call
from backend.standing.appeal_effects import AppealFinding
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.facts import Result, StudentFacts
from backend.standing.engine.prompts import PromptState
from backend.standing.store.load import policy_history
from backend.standing.store.tables import AidReleaseRecord, AppealDecided, StudentStanding
from tests.support.appeal import AppealScenario
from tests.support.province import bureau_account
from tests.support.standing.prompt_actions import decide as decide_prompt
from tests.support.standing.prompt_actions import reverse as reverse_change
from tests.support.standing.prompts import confirm_receipt, load_prompt_id

pytestmark = pytest.mark.clause("HN334-4.2")


async def test_an_upheld_appeal_before_the_execution_withdraws_the_prompt(appeals: AppealScenario) -> None:
    missed, _ = await appeals.standing_scenario.misses(2)
    assessment = await appeals.standing_scenario.recompute()
    decided = await appeals.decide(await appeals.against_check(missed), finding="present")
    assert decided.state is AppealState.UPHELD
    [prompt] = assessment.prompts
    _, now = await appeals.load_facts()
    assert [each.state for each in now.prompts] == [PromptState.WITHDRAWN]
    assert [(term.misses.consecutive, term.misses.cumulative) for term in now.terms] == [(1, 1)]
    assert len(await appeals.standing_scenario.events("PromptMoved")) == 1
    assert prompt.prompt_id == now.prompts[0].prompt_id


@pytest.mark.clause("R11")
async def test_an_upheld_appeal_restores_exactly_and_lifts_the_lock(
    appeals: AppealScenario,
) -> None:
    change = await appeals.execute_prompt()
    standing_scenario = appeals.standing_scenario
    assert await standing_scenario.status() == ("01", "part_time")
    [standing] = await standing_scenario.rows(StudentStanding)
    assert standing.locked_by == change.id
    await appeals.decide(await appeals.against_change(change.id))
    assert await standing_scenario.status() == ("01", "full_time")
    [standing] = await standing_scenario.rows(StudentStanding)
    assert standing.locked_by is None
    entries = await appeals.load_entries()
    assert [(entry.cause, entry.reverses) for entry in entries] == [("expiry", None), ("appeal", change.id)]
    causes = [event["cause"] for event in await standing_scenario.events("StandingChanged")]
    assert causes == ["expiry", "appeal"]


@pytest.mark.parametrize("finding", ["present", "excused"])
@pytest.mark.clause("R13")
async def test_an_upheld_appeal_equals_a_life_without_the_miss(
    appeals: AppealScenario, finding: AppealFinding
) -> None:
    change = await appeals.execute_prompt()
    missed = await _load_first_roll_call(appeals)
    await appeals.decide(await appeals.against_check(missed), finding=finding)
    facts, assessment = await appeals.load_facts()
    assert (await appeals.load_entries())[-1].reverses == change.id
    innocent = _rewrite_result(facts, str(missed.id), Outcome(finding))
    assert _current_state(assessment) == _current_state(
        assess(
            innocent,
            policy_history(appeals.standing_scenario.school.path),
            official_calendar(),
            assessment.as_of,
        )
    )
    assert assessment.ledger[-1].after == innocent.initial


async def test_an_overturned_result_is_written_once(
    appeals: AppealScenario,
) -> None:
    missed, _, _ = await appeals.standing_scenario.misses(3)
    await appeals.decide(await appeals.against_check(missed), finding="excused")
    async with appeals.standing_scenario.transaction(appeals.province) as session:
        entry = await find_current_outcome(session, missed.id, appeals.standing_scenario.pupil.id)
    assert entry is not None
    assert (entry.outcome, entry.method, entry.reason, entry.seq) == ("excused", "appeal", "appeal_upheld", 2)
    _, assessment = await appeals.load_facts()
    [term] = assessment.terms
    assert Counter(place.place for place in term.sequence) == {"out": 1, "missed": 2}
    assert (term.misses.consecutive, term.misses.cumulative) == (2, 2)


async def test_a_pass_found_by_an_appeal_resets_the_consecutive_count(appeals: AppealScenario) -> None:
    _, middle, _ = await appeals.standing_scenario.misses(3)
    await appeals.decide(await appeals.against_check(middle), finding="present")
    _, assessment = await appeals.load_facts()
    [term] = assessment.terms
    assert (term.misses.consecutive, term.misses.cumulative) == (1, 2)


async def test_two_upheld_appeals_write_one_outcome_and_one_reversal(appeals: AppealScenario) -> None:
    await appeals.execute_prompt()
    missed = await _load_first_roll_call(appeals)
    student = await appeals.against_check(missed)
    school = await appeals.against_check(missed, appeals.standing_scenario.registrar)
    await appeals.decide(student, finding="excused")
    await appeals.decide(school, appeals.other_province, finding="excused")
    outcomes = [
        row for row in await appeals.standing_scenario.rows(OutcomeEntry) if row.roll_call_id == missed.id
    ]
    assert sorted(row.seq for row in outcomes) == [1, 2]
    assert [entry.cause for entry in await appeals.load_entries()] == ["expiry", "appeal"]


@pytest.mark.clause("HN334-4.1d")
async def test_restoration_after_an_aid_release_emits_an_event(appeals: AppealScenario) -> None:
    change = await appeals.execute_prompt()
    assert [row.change_id for row in await appeals.standing_scenario.rows(AidReleaseRecord)] == [change.id]
    await appeals.decide(await appeals.against_change(change.id))
    restored = (await appeals.standing_scenario.events("StandingChanged"))[-1]
    assert restored["entry_id"] == str((await appeals.load_entries())[-1].id)


async def test_a_rejection_keeps_the_change_and_explains_it(appeals: AppealScenario) -> None:
    registrar = await appeals.standing_scenario.roll_call_scenario.account(
        "registrar", appeals.standing_scenario.school
    )
    city = await appeals.create_authority(appeals.standing_scenario.roll_call_scenario.world.city)
    change = await appeals.execute_prompt()
    appeal = await appeals.against_change(change.id)
    rejected = await appeals.reject(appeal)
    assert rejected.state is AppealState.REJECTED
    assert await appeals.standing_scenario.status() == ("01", "part_time")
    await appeals.standing_scenario.run_events("AppealDecided")
    recipients = await appeals.load_recipients(appeal, "appeal_decided")
    assert {appeals.standing_scenario.pupil.id, registrar.account_id, city.account_id} <= recipients
    assert rejected.decided is not None
    last_day = legal_day(rejected.decided.at) + timedelta(days=60)
    told = await appeals.load_notice_text(appeal, "appeal_decided")
    assert f"可在 {last_day} 之前（含当天）向上一级申诉一次" in told


async def test_the_notice_of_an_upheld_appeal_names_the_restoration(appeals: AppealScenario) -> None:
    change = await appeals.execute_prompt()
    appeal = await appeals.against_change(change.id)
    await appeals.decide(appeal)
    await appeals.standing_scenario.run_events("AppealDecided")
    assert "学籍恢复原状" in await appeals.load_notice_text(appeal, "appeal_decided")


async def test_only_an_overturned_result_has_a_finding(
    appeals: AppealScenario,
) -> None:
    change = await appeals.execute_prompt()
    missed = await _load_first_roll_call(appeals)
    by_check = await appeals.against_check(missed)
    by_change = await appeals.against_change(change.id)
    with pytest.raises(FindingMissing):
        await appeals.decide(by_check)
    for appeal, upheld in ((by_check, False), (by_change, True)):
        with pytest.raises(FindingNotAsked):
            await appeals.decide(appeal, upheld=upheld, finding="present")


async def test_a_voided_roll_call_cannot_be_found_present(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    async with appeals.standing_scenario.transaction(appeals.city) as session:
        await void_roll_call(session, appeals.city, missed.id, "系统故障", appeals.standing_scenario.at)
    with pytest.raises(CheckVoided):
        await appeals.decide(appeal, finding="present")
    assert (await appeals.decide(appeal, finding="excused")).state is AppealState.UPHELD


# --- who may decide ---


async def test_only_the_deciding_unit_decides(appeals: AppealScenario) -> None:
    standing_scenario = appeals.standing_scenario
    appeal = await appeals.against_check(await standing_scenario.check(actor=appeals.province))
    with pytest.raises(NotTheDecidingUnit):
        await appeals.decide(appeal, appeals.other_province)
    with pytest.raises(NotPermitted):
        await appeals.decide(appeal, standing_scenario.registrar)
    with pytest.raises(NotFound):
        await appeals.decide(appeal, bureau_account(standing_scenario.roll_call_scenario.world.other_city))


async def test_the_launcher_of_the_check_cannot_decide(appeals: AppealScenario) -> None:
    appeal = await appeals.against_check(await appeals.standing_scenario.check(actor=appeals.province))
    await appeals.reject(appeal, appeals.city)
    second = await appeals.appeal_to_next_level(appeal)
    with pytest.raises(ConflictOfInterest):
        await appeals.decide(second, appeals.province)
    assert (
        await appeals.decide(second, appeals.other_province, finding="present")
    ).state is AppealState.UPHELD


async def test_the_provinces_second_level_needs_another_account(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    first = await appeals.against_check(missed)
    await appeals.reject(first, appeals.province)
    second = await appeals.appeal_to_next_level(first)
    assert second.case.unit_id == first.case.unit_id
    with pytest.raises(ConflictOfInterest):
        await appeals.decide(second, appeals.province)
    await appeals.decide(second, appeals.other_province, finding="excused")


async def test_the_decision_stores_who_took_part(
    appeals: AppealScenario,
) -> None:
    standing_scenario = appeals.standing_scenario
    for _ in range(2):
        await standing_scenario.check(actor=appeals.province)
        standing_scenario.set_clock(days=1)
    await standing_scenario.recompute()
    prompt_id = await load_prompt_id(standing_scenario)
    await confirm_receipt(standing_scenario, prompt_id)
    await decide_prompt(standing_scenario, prompt_id, reasons="多次未核验")
    [change] = await appeals.load_entries()
    appeal = await appeals.against_change(change.id)
    assert appeal.case.unit_id == standing_scenario.roll_call_scenario.world.city.id
    [decided_by] = {change.acting_account}
    await appeals.decide(appeal, appeals.city)
    [row] = [row for row in await _load_impartiality(appeals) if row.appeal_id == appeal.filed.id]
    assert decided_by in row.took_part
    assert appeals.province.account_id in row.took_part


async def test_the_database_refuses_a_decider_who_took_part(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    row = {"school_id": appeal.filed.school_id, "filed_by": appeal.filed.filed_by}
    decider = appeals.province.account_id
    decided = AppealDecided(
        appeal_id=appeal.filed.id,
        student_id=appeal.filed.student_id,
        upheld=False,
        finding="excused",
        reasons="–",
        decided_by=decider,
        at=appeals.standing_scenario.at,
        **row,
    )
    with pytest.raises(IntegrityError, match="ck_appeal_impartiality_took_no_part"):
        async with appeals.standing_scenario.transaction(appeals.province) as session:
            session.add(decided)
            await session.flush()
            session.add(
                AppealImpartiality(appeal_id=appeal.filed.id, decided_by=decider, took_part=[decider], **row)
            )


async def test_one_of_two_concurrent_decisions_is_refused(appeals: AppealScenario) -> None:
    change = await appeals.execute_prompt()
    appeal = await appeals.against_change(change.id)
    results = await asyncio.gather(
        appeals.decide(appeal, appeals.province),
        appeals.reject(appeal, appeals.other_province),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["AppealClosed", "AppealView"]
    [decided] = await appeals.standing_scenario.rows(AppealDecided)
    expected = ("01", "full_time") if decided.upheld else ("01", "part_time")
    assert await appeals.standing_scenario.status() == expected


async def test_a_decided_appeal_accepts_no_acts(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    await appeals.reject(appeal)
    for act in (appeals.decide, appeals.reject):
        with pytest.raises(AppealClosed):
            await act(appeal, appeals.other_province)


async def test_tenants_do_not_see_each_others_appeals(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    world = appeals.standing_scenario.roll_call_scenario.world
    for reader in (appeals.province, appeals.city, appeals.standing_scenario.registrar, appeals.student):
        assert appeal.filed.id in await appeals.list_ids(reader)
    classmate = appeals.standing_scenario.student(appeals.standing_scenario.school.students[1])
    for stranger in (bureau_account(world.other_city), classmate):
        assert appeal.filed.id not in await appeals.list_ids(stranger)


# --- helpers ---


async def _load_first_roll_call(appeals: AppealScenario) -> RollCall:
    """The first roll call that the student missed."""
    facts, _ = await appeals.load_facts()
    async with appeals.standing_scenario.roll_call_scenario.owner_transaction() as session:
        found: RollCall = await session.get_one(RollCall, UUID(facts.checks[0].check_id))
    return found


async def _load_impartiality(appeals: AppealScenario) -> list[AppealImpartiality]:
    async with appeals.standing_scenario.roll_call_scenario.owner_transaction() as session:
        return list(await session.scalars(select(AppealImpartiality)))


def _rewrite_result(facts: StudentFacts, check_id: str, outcome: Outcome) -> StudentFacts:
    """The same facts with that result from the start, and so without prompt, appeal and change."""
    checks = tuple(
        replace(check, results=(Result(outcome, check.results[0].at),))
        if check.check_id == check_id
        else check
        for check in facts.checks
    )
    return replace(facts, checks=checks, deliveries=(), appeals=())


def _current_state(assessment: Assessment) -> object:
    """The current part of an assessment: status, counts, lock, absence, open prompts and warnings."""
    counts = [(term.term, term.misses, term.leave) for term in assessment.terms]
    open_prompts = [prompt.prompt_id for prompt in assessment.open_prompts]
    return (assessment.status, counts, assessment.lock, assessment.absence, open_prompts, assessment.warnings)


# --- appeals without an object, and a province with a single account ---


async def test_an_appeal_against_a_reversed_change_ends_by_itself(appeals: AppealScenario) -> None:
    scenario = appeals.standing_scenario
    change = await appeals.execute_prompt()
    appeal = await appeals.against_change(change.id)
    await reverse_change(scenario, change.id)
    await scenario.run_events("StandingChanged")
    [ended] = await load_views(appeals)
    assert (ended.filed.id, ended.state) == (appeal.filed.id, AppealState.ENDED)
    with pytest.raises(AppealClosed):
        await appeals.decide(appeal)
    _, assessment = await appeals.load_facts()
    assert all("open_appeal" not in prompt.blockers for prompt in assessment.prompts)
    await scenario.run_events("StandingChanged", "AppealWithdrawn")
    assert "自行终止" in await appeals.load_notice_text(appeal, "appeal_ended")


async def test_an_appeal_against_a_change_in_force_stays_open(appeals: AppealScenario) -> None:
    change = await appeals.execute_prompt()
    await appeals.against_change(change.id)
    await appeals.standing_scenario.run_events("StandingChanged")
    assert [view.state for view in await load_views(appeals)] == [AppealState.OPEN]


async def load_views(appeals: AppealScenario) -> list[AppealView]:
    async with appeals.standing_scenario.transaction(appeals.province) as session:
        at = appeals.standing_scenario.at
        search = AppealSearch(student_id=appeals.standing_scenario.pupil.id)
        return list((await load_appeals_page(session, appeals.province, search, at, PageRequest(10))).rows)


@pytest.fixture
async def only_account(appeals: AppealScenario) -> AsyncIterator[Actor]:
    """An account that is the only active one of the province during the test."""
    unit = appeals.standing_scenario.roll_call_scenario.world.province
    owner_transaction = appeals.standing_scenario.roll_call_scenario.owner_transaction
    of_province = (Account.org_id == unit.id, Account.kind == "province", Account.status == "active")
    async with owner_transaction() as session:
        others = list(
            await session.scalars(
                update(Account).where(*of_province).values(status="disabled").returning(Account.id)
            )
        )
    actor = await appeals.create_authority(unit)
    yield actor
    async with owner_transaction() as session:
        await session.execute(delete(Account).where(Account.id == actor.account_id))
        await session.execute(update(Account).where(Account.id.in_(others)).values(status="active"))


async def test_the_only_account_of_the_province_decides_and_this_is_recorded(
    appeals: AppealScenario, only_account: Actor
) -> None:
    appeal = await appeals.against_check(await appeals.standing_scenario.check(actor=only_account))
    await appeals.reject(appeal, appeals.city)
    second = await appeals.appeal_to_next_level(appeal)
    decided = await appeals.decide(second, only_account, finding="present")
    assert decided.state is AppealState.UPHELD
    async with appeals.standing_scenario.roll_call_scenario.owner_transaction() as session:
        found = select(AppealImpartiality).where(AppealImpartiality.appeal_id == second.filed.id)
        records = list(await session.scalars(found))
    assert [(record.sole_account, only_account.account_id in record.took_part) for record in records] == [
        (True, True)
    ]


async def test_with_a_second_account_the_conflicted_one_is_refused(
    appeals: AppealScenario, only_account: Actor
) -> None:
    appeal = await appeals.against_check(await appeals.standing_scenario.check(actor=only_account))
    await appeals.reject(appeal, appeals.city)
    second = await appeals.appeal_to_next_level(appeal)
    other = await appeals.create_authority(appeals.standing_scenario.roll_call_scenario.world.province)
    with pytest.raises(ConflictOfInterest):
        await appeals.decide(second, only_account, finding="present")
    assert (await appeals.decide(second, other, finding="present")).state is AppealState.UPHELD
    async with appeals.standing_scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(update(Account).where(Account.id == other.account_id).values(status="disabled"))
