"""Explanations of withdrawals and reinstatements."""

from uuid import UUID

import pytest

from backend.aid.explanations import load_filing_explanation
from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.standing.explanations.model import Explanation
from tests.support.aid import AidScenario
from tests.support.province import student_account

pytestmark = pytest.mark.clause("HN334-4.1d")


async def explain(aid: AidScenario, actor: Actor, filing_id: UUID) -> Explanation:
    async with aid.standing_scenario.transaction(actor) as session:
        return await load_filing_explanation(session, actor, filing_id)


async def test_explanation_lists_withdrawn_and_paid_months(aid: AidScenario) -> None:
    first, *rest = await aid.award()
    await aid.pay(aid.payment_line(first.month, first.fen))
    entry = await aid.execute_change()
    [filing] = await aid.load_filings()
    explanation = await explain(aid, aid.standing_scenario.student(), filing.id)
    total = sum(part.fen for part in rest)
    assert f"共 {total // 100}.{total % 100:02d} 元" in explanation.paragraphs[0].zh
    paid = next(words.zh for words in explanation.paragraphs if words.zh.startswith(f"{first.month:%Y-%m}"))
    assert "撤回 0.00 元" in paid
    assert explanation.references[0].clause == "HN334-4.1d"
    assert [fact.key for fact in explanation.facts] == [f"change:{entry.id}"]
    assert any("申诉" in words.zh for words in explanation.next_steps)


@pytest.mark.clause("HN334-4.2")
async def test_explanation_of_a_reinstatement_names_the_full_amount(aid: AidScenario) -> None:
    await aid.award()
    await aid.reverse_change(await aid.execute_change())
    [filing] = [row for row in await aid.load_filings() if row.kind == "reinstatement"]
    explanation = await explain(aid, aid.standing_scenario.student(), filing.id)
    assert "全部恢复" in explanation.paragraphs[0].zh
    assert explanation.references[0].clause == "HN334-4.2"


async def test_withdrawal_of_another_student_is_not_found(aid: AidScenario) -> None:
    await aid.award()
    await aid.execute_change()
    [filing] = await aid.load_filings()
    other = student_account(aid.standing_scenario.school, aid.standing_scenario.school.students[1])
    with pytest.raises(NotFound):
        await explain(aid, other, filing.id)
