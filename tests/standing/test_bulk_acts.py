"""Acts on many prompts at once: receipts by the registrar, acceptance of dismissals by the superior."""

import pytest

from backend.core.ids import new_id
from backend.standing.prompts.bulk_acts import acknowledge_dismissals, receive_prompts
from backend.standing.store.tables import DismissalAnswer, PromptDelivered
from tests.support.province import province_account
from tests.support.standing.prompt_actions import answer, dismiss, raise_received_prompt
from tests.support.standing.prompts import raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


async def test_receipts_are_confirmed_once(scenario: StandingScenario) -> None:
    prompt_id, unknown, registrar = await raise_prompt(scenario), new_id(), scenario.registrar
    for changed in (True, False):
        async with scenario.transaction(registrar) as session:
            results = await receive_prompts(session, registrar, [unknown, prompt_id, prompt_id], scenario.at)
        assert [(each.id, each.changed) for each in results] == [(unknown, False), (prompt_id, changed)]
        assert [each.error and each.error.code for each in results] == ["not_found", None]
    [delivered] = await scenario.rows(PromptDelivered)
    assert (delivered.how, delivered.acting_account) == ("receipt", registrar.account_id)
    assert (await scenario.step(prompt_id)).state == "running"


@pytest.mark.clause("R10")
async def test_dismissals_are_accepted_once(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    decision, unknown = await dismiss(scenario, prompt_id), new_id()
    for changed in (True, False):
        async with scenario.transaction(scenario.bureau) as session:
            results = await acknowledge_dismissals(
                session, scenario.bureau, [decision.id, unknown], "材料齐全", scenario.at
            )
        assert [(each.id, each.changed) for each in results] == [(decision.id, changed), (unknown, False)]
    [row] = await scenario.rows(DismissalAnswer)
    assert (row.accepted, row.opinion) == (True, "材料齐全")
    assert (await scenario.step(prompt_id)).state == "dismissed"


@pytest.mark.clause("R10")
async def test_an_accepted_dismissal_is_unchanged_only_for_the_superior(scenario: StandingScenario) -> None:
    decision = await dismiss(scenario, await raise_received_prompt(scenario))
    await answer(scenario, decision.id)
    province = province_account(scenario.roll_call_scenario.world.province)
    async with scenario.transaction(province) as session:
        [result] = await acknowledge_dismissals(session, province, [decision.id], "材料齐全", scenario.at)
    assert (result.changed, result.error and result.error.code) == (False, "not_permitted")


@pytest.mark.clause("R10")
async def test_a_refused_dismissal_is_not_accepted_later(scenario: StandingScenario) -> None:
    decision = await dismiss(scenario, await raise_received_prompt(scenario))
    await answer(scenario, decision.id, accepted=False)
    async with scenario.transaction(scenario.bureau) as session:
        [result] = await acknowledge_dismissals(
            session, scenario.bureau, [decision.id], "材料齐全", scenario.at
        )
    assert (result.changed, result.error and result.error.code) == (False, "no_dismissal_pending")
