"""Reminders to the registrar: on the working days of the policy, once each, never late."""

from datetime import date, datetime, time

import pytest

from backend.core.clock import LEGAL_ZONE
from backend.standing.notifications.reminders import remind_registrars
from backend.standing.prompts.decisions import DecidePrompt, decide_prompt
from backend.standing.store.tables import PromptReminder
from backend.standing.tasks import assess_one_school
from tests.support.roll_call.scenario import make_job_context
from tests.support.standing.notices import load_notices
from tests.support.standing.prompts import confirm_receipt, raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R7")]


async def load_reminder_days(scenario: StandingScenario) -> list[date]:
    """The reminder days of the pupil's only prompt in the assessment."""
    assessment = await scenario.recompute()
    [prompt] = assessment.prompts
    assert prompt.deadline is not None
    return [reminder.on for reminder in prompt.deadline.reminders]


async def send_reminders_on(scenario: StandingScenario, day: date) -> int:
    scenario.roll_call_scenario.clock.at = datetime.combine(day, time(0, 5), tzinfo=LEGAL_ZONE)
    async with scenario.as_worker() as session:
        return await remind_registrars(session, scenario.school.id, scenario.at)


async def test_the_registrar_is_reminded_once_on_each_policy_day(scenario: StandingScenario) -> None:
    registrar = await scenario.roll_call_scenario.account("registrar", scenario.school)
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    first, third, fifth = await load_reminder_days(scenario)
    assert [await send_reminders_on(scenario, day) for day in (first, first, third, fifth)] == [1, 0, 1, 1]
    found = [item for item in await load_notices(scenario, prompt_id) if item[0] == "prompt_reminder"]
    assert [who for _, who, _ in found] == [registrar.account_id] * 3
    assert f"{fifth.isoformat()} 24:00" in found[0][2].body_zh


async def test_no_reminder_on_other_days(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    days = await load_reminder_days(scenario)
    spanned = [date.fromordinal(number) for number in range(days[0].toordinal(), days[-1].toordinal())]
    assert {await send_reminders_on(scenario, day) for day in spanned if day not in days} == {0}


async def test_a_late_job_sends_only_todays_reminder(scenario: StandingScenario) -> None:
    await confirm_receipt(scenario, await raise_prompt(scenario))
    days = await load_reminder_days(scenario)
    assert await send_reminders_on(scenario, days[-1]) == 1
    assert await scenario.count(PromptReminder) == 1


async def test_a_decided_prompt_has_no_reminders(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    days = await load_reminder_days(scenario)
    async with scenario.transaction(scenario.registrar) as session:
        command = DecidePrompt(prompt_id, "part_time")
        await decide_prompt(session, scenario.registrar, command, scenario.at)
    assert await send_reminders_on(scenario, days[0]) == 0


async def test_an_undelivered_prompt_has_no_reminders(scenario: StandingScenario) -> None:
    await raise_prompt(scenario)
    assert await send_reminders_on(scenario, scenario.today) == 0


async def test_the_daily_job_of_a_school_sends_reminders(scenario: StandingScenario) -> None:
    await confirm_receipt(scenario, await raise_prompt(scenario))
    days = await load_reminder_days(scenario)
    scenario.roll_call_scenario.clock.at = datetime.combine(days[0], time(0, 1), tzinfo=LEGAL_ZONE)
    await assess_one_school(
        make_job_context(scenario.app_context), school_id=str(scenario.school.id), path=scenario.school.path
    )
    assert await scenario.count(PromptReminder) == 1
