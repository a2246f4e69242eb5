"""After a spot check was announced, the school declares a vacation on its day, so that the misses do not count."""

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.org.terms import NewTerm, Vacation, declare_vacation, get_term, open_term
from tests.support.standing.scenario import create_standing_scenario

EXPECTED = "misses count"


async def test_attack(app_context: AppContext, owner: Database) -> None:
    scenario = await create_standing_scenario(app_context, owner)
    first, second = await scenario.misses(2)
    registrar = scenario.registrar
    async with scenario.transaction(registrar) as session:
        term = await get_term(session, scenario.school.id, scenario.today)
        own = NewTerm(scenario.school.id, term.code, term.starts_on, term.ends_on)
        opened = await open_term(session, registrar, own, scenario.at)
        days = (first.opens_at.date(), second.closes_at.date())
        await declare_vacation(session, registrar, opened.id, Vacation("校庆", *days), scenario.at)
    assessment = await scenario.recompute()
    misses = max(summary.misses.cumulative for summary in assessment.terms)
    verdict = "misses count" if misses == 2 and assessment.open_prompts else "misses erased"
    assert verdict == EXPECTED
