"""An assessment is saved once, with its audit entries and events."""

from uuid import UUID

import pytest

from backend.standing.engine.prompts import PromptState
from backend.standing.store.tables import PromptRecord, PromptStep, StandingEntry, StudentStanding
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


async def test_two_consecutive_misses_store_one_prompt_with_its_trace(scenario: StandingScenario) -> None:
    missed = await scenario.misses(2)
    assessment = await scenario.recompute()
    await scenario.recompute()
    [prompt] = await scenario.rows(PromptRecord)
    assert prompt.kind == "misses"
    assert prompt.proposed == "part_time"
    assert prompt.evidence == [f"check:{each.id}" for each in missed]
    assert prompt.trace["rule"] == "prompt.misses"
    assert prompt.id == UUID(assessment.prompts[0].prompt_id)
    [step] = await scenario.rows(PromptStep)
    assert step.state == PromptState.UNDELIVERED
    assert len(await scenario.events("PromptRaised")) == 1


async def test_a_student_who_only_passed_has_no_row(scenario: StandingScenario) -> None:
    await scenario.misses(2, present=[scenario.pupil])
    await scenario.recompute()
    assert await scenario.rows(StudentStanding) == []


async def test_one_miss_gives_one_warning(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    await scenario.recompute()
    await scenario.recompute()
    assert len(await scenario.events("StudentWarned")) == 1
    assert await scenario.rows(StandingEntry) == []
