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
from tests.support.standing.scenario import Registry

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R8")]

HOUR = timedelta(hours=1)


async def declare_school_outage(
    registry: Registry,
    actor: Actor | None = None,
    *,
    org_id: UUID | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> OutageView:
    """Declare an outage, by default of the school, as its registrar, for the last hour."""
    actor = actor or registry.registrar
    starts_at = starts_at or registry.at - HOUR
    command = DeclareOutage(org_id or registry.school.id, "校园网故障", starts_at, ends_at)
    async with registry.transaction(actor) as session:
        return await declare_outage(session, actor, command, registry.at)


async def declare_for_city(registry: Registry, actor: Actor, hour: int) -> OutageView:
    """Declare an outage before dawn: all tests share the city, and no other test has a window at that time."""
    starts_at = registry.at.replace(hour=hour)
    city = registry.roll_call_scenario.world.city
    return await declare_school_outage(
        registry, actor, org_id=city.id, starts_at=starts_at, ends_at=starts_at + HOUR
    )


async def decide_outage_as(
    registry: Registry, view: OutageView, actor: Actor, *, approved: bool = True
) -> OutageView:
    async with registry.transaction(actor) as session:
        command = DecideOutage(view.outage.id, approved, "已核实")
        return await decide_outage(session, actor, command, registry.at)


async def end_outage_as(
    registry: Registry, view: OutageView, actor: Actor | None = None, ends_at: datetime | None = None
) -> OutageView:
    actor = actor or registry.registrar
    async with registry.transaction(actor) as session:
        return await end_outage(session, actor, view.outage.id, ends_at, registry.at)


async def declare_over_window(registry: Registry, roll_call: RollCall) -> OutageView:
    """Declare an outage of the school for the whole window."""
    return await declare_school_outage(registry, starts_at=roll_call.opens_at, ends_at=roll_call.closes_at)


async def load_prompt_state(registry: Registry) -> tuple[str, list[str]]:
    [prompt] = await registry.rows(PromptRecord)
    step = await registry.step(prompt.id)
    return step.state, step.blockers


async def test_a_declared_outage_blocks_and_an_approved_one_excuses(
    registry: Registry,
) -> None:
    _, second = await registry.misses(2)
    await registry.recompute()
    declared = await declare_over_window(registry, second)
    await registry.recompute()
    state, blockers = await load_prompt_state(registry)
    assert (state, "declared_outage" in blockers) == (PromptState.UNDELIVERED, True)
    await decide_outage_as(registry, declared, registry.bureau)
    await registry.recompute()
    assert (await load_prompt_state(registry))[0] == PromptState.WITHDRAWN
    classmate = await registry.recompute(registry.school.students[-1])
    assert [place.why for term in classmate.terms for place in term.sequence] == ["", "outage"]


async def test_a_refused_outage_has_no_effect(registry: Registry) -> None:
    _, second = await registry.misses(2)
    declared = await declare_over_window(registry, second)
    await decide_outage_as(registry, declared, registry.bureau, approved=False)
    await registry.recompute()
    state, blockers = await load_prompt_state(registry)
    assert (state, "declared_outage" in blockers) == (PromptState.UNDELIVERED, False)


async def test_each_act_enqueues_an_assessment_of_every_school_below(registry: Registry) -> None:
    async def enqueued() -> list[int]:
        schools = (
            registry.school,
            registry.roll_call_scenario.world.sister,
            registry.roll_call_scenario.world.direct,
        )
        return [
            await registry.roll_call_scenario.jobs("assess_school", school_id=school.id) for school in schools
        ]

    await declare_for_city(registry, registry.bureau, 3)
    assert await enqueued() == [1, 1, 0]


async def test_only_a_superior_of_the_declaring_unit_decides(registry: Registry) -> None:
    world = registry.roll_call_scenario.world
    bureau, province = bureau_account(world.city), registry.province
    by_school = await declare_school_outage(registry)
    for actor in (registry.registrar, registry.counselor, registrar_account(registry.school)):
        with pytest.raises(NotPermitted):
            await decide_outage_as(registry, by_school, actor)
    with pytest.raises(NotFound):
        await decide_outage_as(registry, by_school, bureau_account(world.other_city))
    assert (await decide_outage_as(registry, by_school, bureau)).state == "approved"
    by_bureau = await declare_school_outage(registry, bureau)
    for actor in (bureau, bureau_account(world.city), registry.registrar):
        with pytest.raises(NotPermitted):
            await decide_outage_as(registry, by_bureau, actor)
    assert (await decide_outage_as(registry, by_bureau, province)).state == "approved"
    by_province = await declare_school_outage(registry, province)
    with pytest.raises(NotPermitted):
        await decide_outage_as(registry, by_province, province)
    assert (
        await decide_outage_as(registry, by_province, province_account(world.province))
    ).state == "approved"


async def test_a_decision_is_final(registry: Registry) -> None:
    declared = await declare_school_outage(registry)
    await decide_outage_as(registry, declared, registry.bureau, approved=False)
    with pytest.raises(errors.OutageDecided):
        await decide_outage_as(registry, declared, registry.province)


async def test_the_database_rejects_approval_by_the_declaring_account(registry: Registry) -> None:
    declared = (await declare_school_outage(registry)).outage
    answer = {"outage_id": declared.id, "org_path": declared.org_path, "approved": True, "opinion": ""}
    for declared_by in (declared.declared_by, new_id()):
        row = answer | {"declared_by": declared_by, "decided_by": declared.declared_by, "at": registry.at}
        with pytest.raises(IntegrityError):
            async with registry.as_worker() as session:
                await session.execute(insert(OutageDecision).values(row))


@pytest.mark.clause("HN334-2.3")
async def test_a_unit_or_an_authority_above_declares_outages(registry: Registry) -> None:
    world = registry.roll_call_scenario.world
    with pytest.raises(NotPermitted):
        await declare_school_outage(registry, registry.counselor)
    for actor, unit in (
        (registry.registrar, world.sister.id),
        (registry.registrar, world.city.id),
        (bureau_account(world.city), world.direct.id),
        (bureau_account(world.city), world.province.id),
        (registry.province, new_id()),
    ):
        with pytest.raises(NotFound):
            await declare_school_outage(registry, actor, org_id=unit)
    of_city = await declare_for_city(registry, registry.province, 4)
    assert of_city.outage.org_path == world.city.path


async def test_an_outage_lies_in_the_past_and_ends_after_its_start(registry: Registry) -> None:
    now = registry.at
    for starts_at, ends_at in (
        (now + HOUR, None),
        (now - HOUR, now + HOUR),
        (now - HOUR, now - HOUR),
        (now - HOUR, now - 2 * HOUR),
    ):
        with pytest.raises(errors.OutageTimesInvalid):
            await declare_school_outage(registry, starts_at=starts_at, ends_at=ends_at)


async def test_one_declaration_covers_72_hours_and_not_a_second_more(registry: Registry) -> None:
    longest = 72 * HOUR
    with pytest.raises(errors.OutageTooLong):
        await declare_school_outage(registry, starts_at=registry.at - longest - timedelta(seconds=1))
    ended = registry.at - HOUR
    with pytest.raises(errors.OutageTooLong):
        await declare_school_outage(registry, starts_at=ended - longest - timedelta(seconds=1), ends_at=ended)
    assert await declare_school_outage(registry, starts_at=ended - longest, ends_at=ended)


async def test_a_period_is_declared_once_even_after_a_refusal(registry: Registry) -> None:
    now = registry.at
    declared = await declare_school_outage(registry, starts_at=now - 3 * HOUR, ends_at=now - HOUR)
    await decide_outage_as(registry, declared, registry.bureau, approved=False)
    with pytest.raises(errors.OutageDeclaredBefore):
        await declare_school_outage(registry, starts_at=now - 2 * HOUR, ends_at=now)
    assert await declare_school_outage(registry, starts_at=now - HOUR, ends_at=now)
    assert await declare_school_outage(registry, registry.bureau, starts_at=now - 2 * HOUR, ends_at=now)


async def test_one_of_two_concurrent_declarations_is_refused(registry: Registry) -> None:
    registrar = registry.registrar
    command = DeclareOutage(registry.school.id, "停电", registry.at - HOUR)
    async with registry.transaction(registrar) as session:
        await declare_outage(session, registrar, command, registry.at)
        second = asyncio.create_task(declare_school_outage(registry))
        waits = asyncio.create_task(registry.roll_call_scenario.wait_for_lock())
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(errors.OutageDeclaredBefore):
        await second


async def test_only_the_declaring_unit_ends_an_outage_once(registry: Registry) -> None:
    going_on = await declare_school_outage(registry)
    assert going_on.ends_at is None
    with pytest.raises(NotPermitted):
        await end_outage_as(registry, going_on, registry.bureau)
    registry.pass_time(hours=2)
    for wrong in (registry.at + HOUR, going_on.outage.starts_at):
        with pytest.raises(errors.OutageTimesInvalid):
            await end_outage_as(registry, going_on, ends_at=wrong)
    ended = await end_outage_as(registry, going_on, registrar_account(registry.school), registry.at - HOUR)
    assert ended.ends_at == registry.at - HOUR
    with pytest.raises(errors.OutageOver):
        await end_outage_as(registry, going_on)


async def test_an_outage_without_end_excuses_up_to_the_maximum(registry: Registry) -> None:
    going_on = await declare_school_outage(registry)
    await decide_outage_as(registry, going_on, registry.bureau)
    excused = await registry.check()
    registry.set_clock(days=4)
    counted = await registry.check()
    assessment = await registry.recompute()
    whys = {place.check_id: place.why for term in assessment.terms for place in term.sequence}
    assert whys == {str(excused.id): "outage", str(counted.id): ""}
    with pytest.raises(errors.OutageOver):
        await end_outage_as(registry, going_on)


@pytest.mark.clause("HN334-2.3")
async def test_an_outage_is_visible_to_units_above_and_below(registry: Registry) -> None:
    world = registry.roll_call_scenario.world
    of_school = await declare_school_outage(registry)
    of_city = await declare_for_city(registry, registry.bureau, 5)
    seen = {
        "registrar": (registry.registrar, {of_school, of_city}),
        "counselor": (registry.counselor, {of_school, of_city}),
        "bureau": (registry.bureau, {of_school, of_city}),
        "sister": (registrar_account(world.sister), {of_city}),
        "other bureau": (bureau_account(world.other_city), set()),
        "direct": (registrar_account(world.direct), set()),
    }
    for name, (actor, expected) in seen.items():
        async with registry.transaction(actor) as session:
            found = await load_outages_page(session, actor, OutageSearch(state="waiting"), None, 100)
            ids = {view.outage.id for view in found} & {of_school.outage.id, of_city.outage.id}
            assert ids == {view.outage.id for view in expected}, name
            if of_school not in expected:
                with pytest.raises(NotFound):
                    await load_outage(session, actor, of_school.outage.id)


@pytest.fixture
async def api(registry: Registry) -> AsyncIterator[StaffClient]:
    client = staff_client(registry.app_context, router)
    yield client
    await client.http.aclose()


async def test_availability_shows_a_gap_in_the_heartbeats(api: StaffClient, registry: Registry) -> None:
    roll_call = await registry.check()
    path = f"/v1/roll-calls/{roll_call.id}/availability"
    whole = (await api.get(registry.bureau, path)).json()
    assert whole["complete"]
    gone = roll_call.opens_at.replace(second=0, microsecond=0) + timedelta(minutes=10)
    async with registry.roll_call_scenario.owner_transaction() as session:
        lost = ServiceHeartbeat.minute.between(gone, gone + timedelta(minutes=8))
        await session.execute(delete(ServiceHeartbeat).where(lost))
    found = (await api.get(registry.bureau, path)).json()
    assert found["minutes"] - found["marked"] == 9
    assert (found["longest_gap_seconds"], found["tolerated_gap_seconds"]) == (540, 300)
    assert not found["complete"]
    stranger = bureau_account(registry.roll_call_scenario.world.other_city)
    assert (await api.get(stranger, path)).status_code == 404


async def test_availability_of_an_open_window_covers_the_past_part(
    api: StaffClient, registry: Registry
) -> None:
    roll_call = (await registry.roll_call_scenario.launch()).roll_call
    path = f"/v1/roll-calls/{roll_call.id}/availability"
    assert (await api.get(registry.bureau, path)).json()["minutes"] == 0
    await registry.mark_pulses(roll_call)
    registry.pass_time(minutes=30)
    found = (await api.get(registry.bureau, path)).json()
    assert (found["minutes"], found["longest_gap_seconds"]) == (30, 0)
