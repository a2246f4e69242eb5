"""An appeal is explained: against what, who decides by when, how it ended, and what follows."""

from datetime import timedelta

import pytest

from backend.appeal.explanations import appeal_explained, explained
from backend.appeal.queries import AppealView
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.standing.explanations.phrases import until
from backend.standing.explanations.prompt import Explanation
from tests.support.appeal import Docket
from tests.support.province import student_account

pytestmark = pytest.mark.clause("HN334-4.2")


async def told(docket: Docket, actor: Actor, appeal: AppealView) -> Explanation:
    async with docket.registry.transaction(actor) as session:
        return await appeal_explained(session, actor, appeal.filed.id)


async def filed(docket: Docket) -> AppealView:
    [missed] = await docket.registry.misses(1)
    return await docket.against_check(missed)


def steps(explanation: Explanation) -> str:
    return "\n".join(words.zh for words in explanation.next_steps)


async def test_an_open_appeal_names_its_check_the_unit_that_decides_and_the_deadline(docket: Docket) -> None:
    appeal = await filed(docket)
    explanation = await told(docket, docket.student, appeal)
    assert appeal.unit_name in explanation.paragraphs[0].zh
    assert appeal.due_at is not None
    assert until(appeal.due_at) in steps(explanation)
    [fact] = explanation.facts
    assert "未按时核验" in fact.words.zh
    assert explanation.references[0].clause == "HN334-4.2"


async def test_an_upheld_appeal_tells_that_misses_are_recounted(docket: Docket) -> None:
    appeal = await filed(docket)
    docket.registry.pass_time(hours=1)
    await docket.decide(appeal, finding="excused")
    explanation = await told(docket, docket.student, appeal)
    assert "材料已核实" in explanation.paragraphs[1].zh
    assert "次数重新计算" in steps(explanation)


async def test_a_rejected_appeal_tells_the_student_until_when_it_may_be_carried_up(docket: Docket) -> None:
    appeal = await filed(docket)
    docket.registry.pass_time(hours=1)
    await docket.reject(appeal)
    last = (docket.registry.today + timedelta(days=60)).isoformat()
    assert f"到 {last} 为止" in steps(await told(docket, docket.student, appeal))


async def test_a_counselor_does_not_read_appeals_and_another_student_finds_none(docket: Docket) -> None:
    appeal = await filed(docket)
    with pytest.raises(NotPermitted):
        await told(docket, docket.registry.counselor, appeal)
    school = docket.registry.school
    with pytest.raises(NotFound):
        await told(docket, student_account(school, school.students[1]), appeal)


async def test_one_door_explains_every_kind(docket: Docket) -> None:
    appeal = await filed(docket)
    async with docket.registry.transaction(docket.student) as session:
        one = await explained(session, docket.student, "appeal", appeal.filed.id)
    assert one == await told(docket, docket.student, appeal)
