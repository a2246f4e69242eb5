"""Where the units of a roll call are: the middles of their frozen sites, and the outlines of a school."""

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.org.tables import OrgUnit
from backend.roll_call.launch.audience import Audience
from backend.roll_call.progress.places import Places, load_places
from backend.roll_call.tables import RollCall
from tests.support.province import bureau_account, counselor_account, province_account
from tests.support.roll_call.scenario import RollCallScenario


async def load(
    scenario: RollCallScenario, actor: Actor, roll_call: RollCall, unit: OrgUnit | None = None
) -> Places:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await load_places(session, actor, roll_call.id, unit.id if unit else None, scenario.clock())


async def test_unit_has_the_middles_of_its_children_and_a_school_its_outlines(
    scenario: RollCallScenario,
) -> None:
    province = province_account(scenario.world.province)
    await scenario.file_site()
    audience = Audience(unit_ids=(scenario.school.id, scenario.world.direct.id))
    roll_call = (await scenario.launch(province, audience=audience)).roll_call
    top = await load(scenario, province, roll_call)
    assert [each.unit_id for each in top.units] == [scenario.world.city.id]  # the other school has no site
    assert top.outlines == []
    of_city = await load(scenario, scenario.bureau, roll_call)
    assert [each.unit_id for each in of_city.units] == [scenario.school.id]
    of_school = await load(scenario, scenario.registrar, roll_call)
    outlines = [ring for each in of_school.outlines for part in each.geojson["coordinates"] for ring in part]
    assert len(of_school.outlines) == of_city.units[0].sites
    assert of_school.units == []
    lons = [lon for ring in outlines for lon, _ in ring]
    assert min(lons) < of_city.units[0].lon < max(lons)


async def test_places_are_refused_to_others(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    with pytest.raises(NotFound):
        await load(scenario, bureau_account(scenario.world.other_city), roll_call)
    with pytest.raises(NotPermitted):
        await load(scenario, counselor_account(scenario.school, scenario.school.classes[0]), roll_call)
