"""A withdrawal of aid is explained month by month, in yuan; what was paid is listed and stays."""

from uuid import UUID

import pytest

from backend.aid.explanations import load_filing_explanation
from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.standing.explanations.model import Explanation
from tests.support.aid import AidDesk
from tests.support.province import student_account

pytestmark = pytest.mark.clause("HN334-4.1d")


async def told(desk: AidDesk, actor: Actor, filing_id: UUID) -> Explanation:
    async with desk.registry.transaction(actor) as session:
        return await load_filing_explanation(session, actor, filing_id)


async def test_the_unpaid_months_are_withdrawn_and_the_paid_one_is_listed_untouched(desk: AidDesk) -> None:
    first, *rest = await desk.award()
    await desk.pay(desk.line(first.month, first.fen))
    entry = await desk.change()
    [filing] = await desk.filings()
    explained = await told(desk, desk.registry.student(), filing.id)
    total = sum(part.fen for part in rest)
    assert f"共 {total // 100}.{total % 100:02d} 元" in explained.paragraphs[0].zh
    paid = next(words.zh for words in explained.paragraphs if words.zh.startswith(f"{first.month:%Y-%m}"))
    assert "撤回 0.00 元" in paid
    assert explained.references[0].clause == "HN334-4.1d"
    assert [fact.key for fact in explained.facts] == [f"change:{entry.id}"]
    assert any("申诉" in words.zh for words in explained.next_steps)


@pytest.mark.clause("HN334-4.2")
async def test_a_reinstatement_says_that_all_of_it_is_back(desk: AidDesk) -> None:
    await desk.award()
    await desk.reverse(await desk.change())
    [filing] = [row for row in await desk.filings() if row.kind == "reinstatement"]
    explained = await told(desk, desk.registry.student(), filing.id)
    assert "全部恢复" in explained.paragraphs[0].zh
    assert explained.references[0].clause == "HN334-4.2"


async def test_another_students_withdrawal_is_not_found(desk: AidDesk) -> None:
    await desk.award()
    await desk.change()
    [filing] = await desk.filings()
    other = student_account(desk.registry.school, desk.registry.school.students[1])
    with pytest.raises(NotFound):
        await told(desk, other, filing.id)
