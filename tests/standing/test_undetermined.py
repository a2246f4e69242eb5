"""An undetermined check between two misses: nothing is executed before a person determines it (reading 16)."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from backend.core.tenancy import Scope
from backend.roll_call.outcomes import OutcomeDecision, lock_obligation, write_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.roll_call.tables import Obligation, RollCall
from backend.standing.engine.prompts import PromptState
from backend.standing.store import tables
from tests.support.appeal import AppealScenario
from tests.support.standing.notices import create_superior_account, load_notices
from tests.support.standing.prompt_actions import decide, reverse
from tests.support.standing.prompts import confirm_receipt, load_prompt_id
from tests.support.standing.scenario import AFTER_THE_CLOSE, StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R16")]


async def check_with_outcome(scenario: StandingScenario, outcome: Outcome, reason: str) -> RollCall:
    """A settled check in which the pupil has this outcome. The next day begins."""
    roll_call = (await scenario.roll_call_scenario.launch()).roll_call
    await scenario.record_heartbeats(roll_call)
    await scenario.receive_notices(roll_call.id)
    async with scenario.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
        await lock_obligation(session, roll_call.id, scenario.pupil.id)
        obligation = await session.get_one(Obligation, (roll_call.id, scenario.pupil.id))
        decision = OutcomeDecision(outcome, reason, "face")
        assert await write_outcome(session, roll_call, obligation, decision, scenario.at)
    scenario.roll_call_scenario.clock.at = roll_call.closes_at + AFTER_THE_CLOSE
    await scenario.roll_call_scenario.settle(roll_call)
    scenario.set_clock(days=1)
    return roll_call


async def raise_doubtful_prompt(scenario: StandingScenario) -> tuple[UUID, Sequence[RollCall]]:
    """A received prompt from two misses with an undetermined check between them."""
    checks = [
        *await scenario.run_misses(1),
        await check_with_outcome(scenario, Outcome.UNDETERMINED, "face_unsure"),
        *await scenario.run_misses(1),
    ]
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    return prompt_id, checks


async def determine(scenario: StandingScenario, roll_call: RollCall, outcome: Outcome) -> None:
    scenario.pass_time(minutes=1)
    command = DetermineOutcome(roll_call.id, scenario.pupil.id, outcome, "核对了当日到校记录")
    async with scenario.transaction(scenario.bureau) as session:
        await determine_outcome(session, scenario.bureau, command, scenario.at)
    await scenario.run_events("OutcomeChanged")


async def test_deadline_is_blocked_until_the_check_is_determined(scenario: StandingScenario) -> None:
    prompt_id, (_, undetermined, _) = await raise_doubtful_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await scenario.recompute()
    step = await scenario.step(prompt_id)
    assert (step.state, step.blockers) == (PromptState.BLOCKED, ["undetermined_check"])
    assert await scenario.status() == ("01", "full_time")
    await determine(scenario, undetermined, Outcome.PRESENT)
    assert (await scenario.step(prompt_id)).state == PromptState.WITHDRAWN
    assert await scenario.rows(tables.StandingEntry) == []


async def test_check_determined_as_missed_lets_the_execution_go_on(scenario: StandingScenario) -> None:
    prompt_id, (_, undetermined, _) = await raise_doubtful_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await scenario.recompute()
    await determine(scenario, undetermined, Outcome.MISSED)
    assert (await scenario.step(prompt_id)).state == PromptState.EXECUTED
    assert await scenario.status() == ("01", "part_time")


async def test_pass_determined_after_the_change_is_told_to_everyone(scenario: StandingScenario) -> None:
    registrar = (await scenario.roll_call_scenario.account("registrar", scenario.school)).account_id
    first_class = scenario.school.classes[0]
    counselor = (
        await scenario.roll_call_scenario.account("counselor", scenario.school, first_class)
    ).account_id
    superior = await create_superior_account(scenario)
    prompt_id, (_, undetermined, _) = await raise_doubtful_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    await decide(scenario, prompt_id, reasons="待定的核验已向学校核实，仍作此决定")
    assert await scenario.rows(tables.StandingWarningRecord) == []
    await determine(scenario, undetermined, Outcome.PRESENT)
    [warning] = await scenario.rows(tables.StandingWarningRecord)
    assert warning.code == "change_without_basis"
    assert await scenario.status() == ("01", "part_time")
    await scenario.run_events("StudentWarned")
    told = {(kind, who) for kind, who, _ in await load_notices(scenario, warning.id)}
    assert {
        ("change_without_basis", registrar),
        ("change_without_basis", counselor),
        ("change_without_basis_student", scenario.pupil.id),
        ("change_without_basis_superior", superior),
    } <= told


@pytest.mark.clause("HN334-4.2")
async def test_upheld_appeal_on_the_check_between_restores_at_once(scenario: StandingScenario) -> None:
    prompt_id, (_, undetermined, _) = await raise_doubtful_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    await decide(scenario, prompt_id, reasons="待定的核验已向学校核实，仍作此决定")
    appeals = AppealScenario(scenario)
    appeal = await appeals.against_check(undetermined)
    await appeals.decide(appeal, finding="present")
    assert await scenario.status() == ("01", "full_time")
    _, restored = await appeals.load_entries()
    assert (restored.cause, restored.outcome) == ("appeal", "restored")


@pytest.mark.clause("HN334-4.2")
async def test_authority_reverses_an_execution_that_lost_its_basis(scenario: StandingScenario) -> None:
    prompt_id, (_, undetermined, _) = await raise_doubtful_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await determine(scenario, undetermined, Outcome.MISSED)
    [entry] = await scenario.rows(tables.StandingEntry)
    await reverse(scenario, entry.id)
    assert await scenario.status() == ("01", "full_time")
