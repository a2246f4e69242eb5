"""Acts on prompts, each in its own transaction."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete

from backend.core.actor import Actor
from backend.core.tables import ServiceHeartbeat
from backend.policy import Policy, installed, load_policies
from backend.roll_call.tables import RollCall
from backend.standing.prompts.decisions import (
    AnswerDismissal,
    DecidePrompt,
    ReverseExecution,
    answer_dismissal,
    decide_prompt,
    reverse_execution,
)
from backend.standing.prompts.deliveries import OfflineMethod, RecordDelivery, record_delivery
from backend.standing.store.tables import PromptDecision
from tests.support.province import CITY_CODE
from tests.support.standing.prompts import confirm_receipt, raise_prompt
from tests.support.standing.scenario import StandingScenario


async def raise_received_prompt(scenario: StandingScenario) -> UUID:
    """Raise the first student's prompt and confirm its receipt; returns its id."""
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    return prompt_id


async def decide(
    scenario: StandingScenario,
    prompt_id: UUID,
    outcome: str = "part_time",
    actor: Actor | None = None,
    **more: Any,
) -> PromptDecision:
    actor = actor or scenario.registrar
    async with scenario.transaction(actor) as session:
        return await decide_prompt(session, actor, DecidePrompt(prompt_id, outcome, **more), scenario.at)


async def dismiss(scenario: StandingScenario, prompt_id: UUID, actor: Actor | None = None) -> PromptDecision:
    return await decide(scenario, prompt_id, "dismiss", actor, found_reason="illness")


async def answer(
    scenario: StandingScenario, decision_id: UUID, actor: Actor | None = None, *, accepted: bool = True
) -> UUID:
    actor = actor or scenario.bureau
    command = AnswerDismissal(decision_id, accepted, "病历已核实")
    async with scenario.transaction(actor) as session:
        return await answer_dismissal(session, actor, command, scenario.at)


async def reverse(scenario: StandingScenario, entry_id: UUID, actor: Actor | None = None) -> UUID:
    actor = actor or scenario.bureau
    async with scenario.transaction(actor) as session:
        return await reverse_execution(session, actor, ReverseExecution(entry_id, "当日停电"), scenario.at)


async def record_offline_delivery(
    scenario: StandingScenario,
    prompt_id: UUID,
    ago: timedelta = timedelta(),
    actor: Actor | None = None,
    how: OfflineMethod = "written",
) -> None:
    actor = actor or scenario.bureau
    command = RecordDelivery(prompt_id, how, scenario.at - ago, "送达回证〔2026〕12号")
    async with scenario.transaction(actor) as session:
        await record_delivery(session, actor, command, scenario.at)


async def delete_heartbeats(scenario: StandingScenario, roll_call: RollCall) -> None:
    """Delete the heartbeats of the window, as if the service had been down."""
    window = ServiceHeartbeat.minute.between(roll_call.opens_at, roll_call.closes_at)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(delete(ServiceHeartbeat).where(window))


def escalate_on_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a policy of the school's city that escalates expired prompts instead of executing them."""
    policies = load_policies()
    [shipped] = [each for each in policies.parameters if each.id == "decision.on_expiry"]
    value = shipped.values[0].model_copy(update={"value": "escalate"})
    local = shipped.model_copy(update={"place": CITY_CODE, "values": (value,)})
    amended = Policy((*policies.parameters, local), policies.divisions)
    monkeypatch.setattr(installed, "installed_policy", lambda: amended)
