"""An assessment is saved once, with its audit entries and events."""

from uuid import UUID

import pytest

from backend.standing.engine.prompts import PromptState
from backend.standing.store.tables import PromptRecord, PromptStep, StandingEntry, StudentStanding
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("HN334-4.1b")


async def test_two_consecutive_misses_store_one_prompt_with_its_trace(registry: Registry) -> None:
    missed = await registry.misses(2)
    assessment = await registry.recompute()
    await registry.recompute()
    [prompt] = await registry.rows(PromptRecord)
    assert prompt.kind == "misses"
    assert prompt.proposed == "part_time"
    assert prompt.evidence == [f"check:{each.id}" for each in missed]
    assert prompt.trace["rule"] == "prompt.misses"
    assert prompt.id == UUID(assessment.prompts[0].prompt_id)
    [step] = await registry.rows(PromptStep)
    assert step.state == PromptState.UNDELIVERED
    assert len(await registry.events("PromptRaised")) == 1


async def test_a_student_who_only_passed_has_no_row(registry: Registry) -> None:
    await registry.misses(2, present=[registry.pupil])
    await registry.recompute()
    assert await registry.rows(StudentStanding) == []


async def test_one_miss_gives_one_warning(registry: Registry) -> None:
    await registry.misses(1)
    await registry.recompute()
    await registry.recompute()
    assert len(await registry.events("StudentWarned")) == 1
    assert await registry.rows(StandingEntry) == []
