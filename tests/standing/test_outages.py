"""An approved outage of the service or of a site's network excuses misses (reading 8)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.core.tables import ServiceHeartbeat
from backend.roll_call.tables import RollCall
from backend.staff_api.standing.outages import router
from backend.standing.engine.prompts import PromptState
from backend.standing.outages import errors
from backend.standing.outages.queries import OutageSearch, OutageView, load_outage, load_outages_page
from backend.standing.outages.service import (
    DecideOutage,
    DeclareOutage,
    decide_outage,
    declare_outage,
    end_outage,
)
from backend.standing.store.tables import OutageDecision, PromptRecord
from tests.support.province import bureau_account, province_account, registrar_account
from tests.support.staff_client import StaffClient, staff_client
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R8")]

HOUR = timedelta(hours=1)


async def declare_school_outage(
    scenario: StandingScenario,
    actor: Actor | None = None,
    *,
    org_id: UUID | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> OutageView:
    """Declare an outage, by default of the school, as its registrar, for the last hour."""
    actor = actor or scenario.registrar
    starts_at = starts_at or scenario.at - HOUR
    command = DeclareOutage(org_id or scenario.school.id, "校园网故障", starts_at, ends_at)
    async with scenario.transaction(actor) as session:
        return await declare_outage(session, actor, command, scenario.at)


async def declare_for_city(scenario: StandingScenario, actor: Actor, hour: int) -> OutageView:
    """Declare an outage before dawn: all tests share the city, and no other test has a window at that time."""
    starts_at = scenario.at.replace(hour=hour)
    city = scenario.roll_call_scenario.world.city
    return await declare_school_outage(
        scenario, actor, org_id=city.id, starts_at=starts_at, ends_at=starts_at + HOUR
    )


async def decide_outage_as(
    scenario: StandingScenario, view: OutageView, actor: Actor, *, approved: bool = True
) -> OutageView:
    async with scenario.transaction(actor) as session:
        command = DecideOutage(view.outage.id, approved, "已核实")
        return await decide_outage(session, actor, command, scenario.at)


async def end_outage_as(
    scenario: StandingScenario, view: OutageView, actor: Actor | None = None, ends_at: datetime | None = None
) -> OutageView:
    actor = actor or scenario.registrar
    async with scenario.transaction(actor) as session:
        return await end_outage(session, actor, view.outage.id, ends_at, scenario.at)


async def declare_over_window(scenario: StandingScenario, roll_call: RollCall) -> OutageView:
    """Declare an outage of the school for the whole window."""
    return await declare_school_outage(scenario, starts_at=roll_call.opens_at, ends_at=roll_call.closes_at)


async def load_prompt_state(scenario: StandingScenario) -> tuple[str, list[str]]:
    [prompt] = await scenario.rows(PromptRecord)
    step = await scenario.step(prompt.id)
    return step.state, step.blockers


async def test_a_declared_outage_blocks_and_an_approved_one_excuses(
    scenario: StandingScenario,
) -> None:
    _, second = await scenario.misses(2)
    await scenario.recompute()
    declared = await declare_over_window(scenario, second)
    await scenario.recompute()
    state, blockers = await load_prompt_state(scenario)
    assert (state, "declared_outage" in blockers) == (PromptState.UNDELIVERED, True)
    await decide_outage_as(scenario, declared, scenario.bureau)
    await scenario.recompute()
    assert (await load_prompt_state(scenario))[0] == PromptState.WITHDRAWN
    classmate = await scenario.recompute(scenario.school.students[-1])
    assert [place.why for term in classmate.terms for place in term.sequence] == ["", "outage"]


async def test_a_refused_outage_has_no_effect(scenario: StandingScenario) -> None:
    _, second = await scenario.misses(2)
    declared = await declare_over_window(scenario, second)
    await decide_outage_as(scenario, declared, scenario.bureau, approved=False)
    await scenario.recompute()
    state, blockers = await load_prompt_state(scenario)
    assert (state, "declared_outage" in blockers) == (PromptState.UNDELIVERED, False)


async def test_each_act_enqueues_an_assessment_of_every_school_below(scenario: StandingScenario) -> None:
    async def enqueued() -> list[int]:
        schools = (
            scenario.school,
            scenario.roll_call_scenario.world.sister,
            scenario.roll_call_scenario.world.direct,
        )
        return [
            await scenario.roll_call_scenario.jobs("assess_school", school_id=school.id) for school in schools
        ]

    await declare_for_city(scenario, scenario.bureau, 3)
    assert await enqueued() == [1, 1, 0]


async def test_only_a_superior_of_the_declaring_unit_decides(scenario: StandingScenario) -> None:
    world = scenario.roll_call_scenario.world
    bureau, province = bureau_account(world.city), scenario.province
    by_school = await declare_school_outage(scenario)
    for actor in (scenario.registrar, scenario.counselor, registrar_account(scenario.school)):
        with pytest.raises(NotPermitted):
            await decide_outage_as(scenario, by_school, actor)
    with pytest.raises(NotFound):
        await decide_outage_as(scenario, by_school, bureau_account(world.other_city))
    assert (await decide_outage_as(scenario, by_school, bureau)).state == "approved"
    by_bureau = await declare_school_outage(scenario, bureau)
    for actor in (bureau, bureau_account(world.city), scenario.registrar):
        with pytest.raises(NotPermitted):
            await decide_outage_as(scenario, by_bureau, actor)
    assert (await decide_outage_as(scenario, by_bureau, province)).state == "approved"
    by_province = await declare_school_outage(scenario, province)
    with pytest.raises(NotPermitted):
        await decide_outage_as(scenario, by_province, province)
    assert (
        await decide_outage_as(scenario, by_province, province_account(world.province))
    ).state == "approved"


async def test_a_decision_is_final(scenario: StandingScenario) -> None:
    declared = await declare_school_outage(scenario)
    await decide_outage_as(scenario, declared, scenario.bureau, approved=False)
    with pytest.raises(errors.OutageDecided):
        await decide_outage_as(scenario, declared, scenario.province)


async def test_the_database_rejects_approval_by_the_declaring_account(scenario: StandingScenario) -> None:
    declared = (await declare_school_outage(scenario)).outage
    answer = {"outage_id": declared.id, "org_path": declared.org_path, "approved": True, "opinion": ""}
    for declared_by in (declared.declared_by, new_id()):
        row = answer | {"declared_by": declared_by, "decided_by": declared.declared_by, "at": scenario.at}
        with pytest.raises(IntegrityError):
            async with scenario.as_worker() as session:
                await session.execute(insert(OutageDecision).values(row))


@pytest.mark.clause("HN334-2.3")
async def test_a_unit_or_an_authority_above_declares_outages(scenario: StandingScenario) -> None:
    world = scenario.roll_call_scenario.world
    with pytest.raises(NotPermitted):
        await declare_school_outage(scenario, scenario.counselor)
    for actor, unit in (
        (scenario.registrar, world.sister.id),
        (scenario.registrar, world.city.id),
        (bureau_account(world.city), world.direct.id),
        (bureau_account(world.city), world.province.id),
        (scenario.province, new_id()),
    ):
        with pytest.raises(NotFound):
            await declare_school_outage(scenario, actor, org_id=unit)
    of_city = await declare_for_city(scenario, scenario.province, 4)
    assert of_city.outage.org_path == world.city.path


async def test_an_outage_lies_in_the_past_and_ends_after_its_start(scenario: StandingScenario) -> None:
    now = scenario.at
    for starts_at, ends_at in (
        (now + HOUR, None),
        (now - HOUR, now + HOUR),
        (now - HOUR, now - HOUR),
        (now - HOUR, now - 2 * HOUR),
    ):
        with pytest.raises(errors.OutageTimesInvalid):
            await declare_school_outage(scenario, starts_at=starts_at, ends_at=ends_at)


async def test_one_declaration_covers_72_hours_and_not_a_second_more(scenario: StandingScenario) -> None:
    longest = 72 * HOUR
    with pytest.raises(errors.OutageTooLong):
        await declare_school_outage(scenario, starts_at=scenario.at - longest - timedelta(seconds=1))
    ended = scenario.at - HOUR
    with pytest.raises(errors.OutageTooLong):
        await declare_school_outage(scenario, starts_at=ended - longest - timedelta(seconds=1), ends_at=ended)
    assert await declare_school_outage(scenario, starts_at=ended - longest, ends_at=ended)


async def test_a_period_is_declared_once_even_after_a_refusal(scenario: StandingScenario) -> None:
    now = scenario.at
    declared = await declare_school_outage(scenario, starts_at=now - 3 * HOUR, ends_at=now - HOUR)
    await decide_outage_as(scenario, declared, scenario.bureau, approved=False)
    with pytest.raises(errors.OutageDeclaredBefore):
        await declare_school_outage(scenario, starts_at=now - 2 * HOUR, ends_at=now)
    assert await declare_school_outage(scenario, starts_at=now - HOUR, ends_at=now)
    assert await declare_school_outage(scenario, scenario.bureau, starts_at=now - 2 * HOUR, ends_at=now)


async def test_one_of_two_concurrent_declarations_is_refused(scenario: StandingScenario) -> None:
    registrar = scenario.registrar
    command = DeclareOutage(scenario.school.id, "停电", scenario.at - HOUR)
    async with scenario.transaction(registrar) as session:
        await declare_outage(session, registrar, command, scenario.at)
        second = asyncio.create_task(declare_school_outage(scenario))
        waits = asyncio.create_task(scenario.roll_call_scenario.wait_for_lock())
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(errors.OutageDeclaredBefore):
        await second


async def test_only_the_declaring_unit_ends_an_outage_once(scenario: StandingScenario) -> None:
    going_on = await declare_school_outage(scenario)
    assert going_on.ends_at is None
    with pytest.raises(NotPermitted):
        await end_outage_as(scenario, going_on, scenario.bureau)
    scenario.pass_time(hours=2)
    for wrong in (scenario.at + HOUR, going_on.outage.starts_at):
        with pytest.raises(errors.OutageTimesInvalid):
            await end_outage_as(scenario, going_on, ends_at=wrong)
    ended = await end_outage_as(scenario, going_on, registrar_account(scenario.school), scenario.at - HOUR)
    assert ended.ends_at == scenario.at - HOUR
    with pytest.raises(errors.OutageOver):
        await end_outage_as(scenario, going_on)


async def test_an_outage_without_end_excuses_up_to_the_maximum(scenario: StandingScenario) -> None:
    going_on = await declare_school_outage(scenario)
    await decide_outage_as(scenario, going_on, scenario.bureau)
    excused = await scenario.check()
    scenario.set_clock(days=4)
    counted = await scenario.check()
    assessment = await scenario.recompute()
    whys = {place.check_id: place.why for term in assessment.terms for place in term.sequence}
    assert whys == {str(excused.id): "outage", str(counted.id): ""}
    with pytest.raises(errors.OutageOver):
        await end_outage_as(scenario, going_on)


@pytest.mark.clause("HN334-2.3")
async def test_an_outage_is_visible_to_units_above_and_below(scenario: StandingScenario) -> None:
    world = scenario.roll_call_scenario.world
    of_school = await declare_school_outage(scenario)
    of_city = await declare_for_city(scenario, scenario.bureau, 5)
    seen = {
        "registrar": (scenario.registrar, {of_school, of_city}),
        "counselor": (scenario.counselor, {of_school, of_city}),
        "bureau": (scenario.bureau, {of_school, of_city}),
        "sister": (registrar_account(world.sister), {of_city}),
        "other bureau": (bureau_account(world.other_city), set()),
        "direct": (registrar_account(world.direct), set()),
    }
    for name, (actor, expected) in seen.items():
        async with scenario.transaction(actor) as session:
            found = (
                await load_outages_page(session, actor, OutageSearch(state="waiting"), PageRequest(100))
            ).rows
            ids = {view.outage.id for view in found} & {of_school.outage.id, of_city.outage.id}
            assert ids == {view.outage.id for view in expected}, name
            if of_school not in expected:
                with pytest.raises(NotFound):
                    await load_outage(session, actor, of_school.outage.id)


@pytest.fixture
async def api(scenario: StandingScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def test_availability_shows_a_gap_in_the_heartbeats(
    api: StaffClient, scenario: StandingScenario
) -> None:
    roll_call = await scenario.check()
    path = f"/v1/roll-calls/{roll_call.id}/availability"
    whole = (await api.get(scenario.bureau, path)).json()
    assert whole["complete"]
    gone = roll_call.opens_at.replace(second=0, microsecond=0) + timedelta(minutes=10)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        lost = ServiceHeartbeat.minute.between(gone, gone + timedelta(minutes=8))
        await session.execute(delete(ServiceHeartbeat).where(lost))
    found = (await api.get(scenario.bureau, path)).json()
    assert found["minutes"] - found["marked"] == 9
    assert (found["longest_gap_seconds"], found["tolerated_gap_seconds"]) == (540, 300)
    assert not found["complete"]
    stranger = bureau_account(scenario.roll_call_scenario.world.other_city)
    assert (await api.get(stranger, path)).status_code == 404


async def test_availability_of_an_open_window_covers_the_past_part(
    api: StaffClient, scenario: StandingScenario
) -> None:
    roll_call = (await scenario.roll_call_scenario.launch()).roll_call
    path = f"/v1/roll-calls/{roll_call.id}/availability"
    assert (await api.get(scenario.bureau, path)).json()["minutes"] == 0
    await scenario.record_heartbeats(roll_call)
    scenario.pass_time(minutes=30)
    found = (await api.get(scenario.bureau, path)).json()
    assert (found["minutes"], found["longest_gap_seconds"]) == (30, 0)
