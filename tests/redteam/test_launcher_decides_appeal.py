"""The account that launched a check decides the appeal against it, although the province has other accounts."""

from backend.appeal.errors import ConflictOfInterest
from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.appeal import AppealScenario
from tests.support.standing.scenario import create_standing_scenario

EXPECTED = "refused: conflict_of_interest"


async def test_attack(app_context: AppContext, owner: Database) -> None:
    appeals = AppealScenario(await create_standing_scenario(app_context, owner))
    province = appeals.standing_scenario.roll_call_scenario.world.province
    launcher = await appeals.create_authority(province)
    await appeals.create_authority(province)
    appeal = await appeals.against_check(await appeals.standing_scenario.check(actor=launcher))
    await appeals.reject(appeal, appeals.city)
    second = await appeals.appeal_to_next_level(appeal)
    try:
        decided = await appeals.decide(second, launcher, finding="present")
        verdict = str(decided.state)
    except ConflictOfInterest as refusal:
        verdict = f"refused: {refusal.code}"
    assert verdict == EXPECTED
