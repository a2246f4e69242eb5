"""Positions that a matter under appeal rests on: the impartial account of the deciding unit sees them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.appeal.queries import AppealView
from backend.core.actor import Actor
from backend.identity.pictures.tables import PictureView
from backend.roll_call.tables import RollCall
from backend.staff_api.appeals import router
from tests.support.appeal import AppealScenario
from tests.support.province import bureau_account
from tests.support.roll_call.rejected_check_in import RejectedCheckIn, store_rejected_check_in
from tests.support.staff_client import StaffClient, staff_client
from tests.support.standing.prompts import confirm_receipt, load_prompt_id

pytestmark = pytest.mark.clause("HN334-4.2")


@pytest.fixture
async def client(appeals: AppealScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(appeals.standing_scenario.app_context, router)
    yield client
    await client.http.aclose()


async def miss_with_check_in(appeals: AppealScenario, consent: str | None = "location-3") -> list[RollCall]:
    """Two misses of the student, in the first of which the phone sent a check-in outside the site."""
    scenario = appeals.standing_scenario
    missed = await scenario.misses(2)
    sent = RejectedCheckIn(missed[0], scenario.pupil, missed[0].opens_at + timedelta(minutes=9), consent)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await store_rejected_check_in(session, sent)
    return missed


async def look(
    client: StaffClient, actor: Actor, appeal: AppealView, roll_call_id: UUID, status: int = 200
) -> dict[str, Any]:
    answer = await client.get(actor, f"/v1/appeals/{appeal.filed.id}/positions/{roll_call_id}")
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_deciding_unit_sees_the_positions_of_the_roll_call_under_appeal(
    appeals: AppealScenario, client: StaffClient
) -> None:
    missed, other = await miss_with_check_in(appeals)
    appeal = await appeals.against_check(missed)
    checks = await client.get(appeals.province, f"/v1/appeals/{appeal.filed.id}/checks")
    assert [each["roll_call_id"] for each in checks.json()] == [str(missed.id)]
    shown = await look(client, appeals.province, appeal, missed.id)
    assert len(shown["check_ins"]) == 1
    [view] = await appeals.standing_scenario.rows(PictureView)
    assert (view.kind, view.purpose, view.source_id) == ("positions", "appeal_decision", missed.id)
    await look(client, appeals.province, appeal, other.id, 404)


async def test_an_appeal_against_a_change_rests_on_the_roll_calls_of_its_prompt(
    appeals: AppealScenario, client: StaffClient
) -> None:
    scenario = appeals.standing_scenario
    missed = await miss_with_check_in(appeals)
    await scenario.recompute()
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, await load_prompt_id(scenario))
    await scenario.recompute()
    [entry] = await appeals.load_entries()
    appeal = await appeals.against_change(entry.id)
    checks = await client.get(appeals.province, f"/v1/appeals/{appeal.filed.id}/checks")
    assert [each["roll_call_id"] for each in checks.json()] == [str(each.id) for each in missed]
    await look(client, appeals.province, appeal, missed[0].id)
    answer = await look(client, appeals.province, appeal, missed[1].id, 409)
    assert answer["code"] == "no_check_in_sent"


async def test_others_and_a_closed_appeal_show_nothing(appeals: AppealScenario, client: StaffClient) -> None:
    scenario = appeals.standing_scenario
    missed, _ = await miss_with_check_in(appeals)
    appeal = await appeals.against_check(missed)
    world = scenario.roll_call_scenario.world
    for actor, status, code in (
        (scenario.registrar, 403, "not_permitted"),
        (scenario.counselor, 403, "not_permitted"),
        (appeals.city, 403, "not_the_deciding_unit"),
        (bureau_account(world.other_city), 404, "not_found"),
    ):
        assert (await look(client, actor, appeal, missed.id, status))["code"] == code
    await appeals.decide(appeal, appeals.province, upheld=False)
    assert (await look(client, appeals.province, appeal, missed.id, 409))["code"] == "appeal_closed"
    assert await scenario.rows(PictureView) == []


async def test_the_older_consent_is_not_enough(appeals: AppealScenario, client: StaffClient) -> None:
    missed, _ = await miss_with_check_in(appeals, "location-2")
    appeal = await appeals.against_check(missed)
    answer = await look(client, appeals.province, appeal, missed.id, 409)
    assert answer["code"] == "position_purpose_not_agreed"
    assert await appeals.standing_scenario.rows(PictureView) == []
