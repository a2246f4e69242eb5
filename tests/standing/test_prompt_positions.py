"""Positions that a prompt rests on: who sees them, on which consent, and what is recorded of the look."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from sqlalchemy import select, update

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.identity.pictures.tables import PictureView
from backend.identity.pictures.views import load_own_picture_views
from backend.people.tables import Consent
from backend.roll_call.tables import RollCall, Submission
from backend.staff_api.standing.prompts import router
from backend.standing.store.tables import PromptRecord
from geo.datum import Datum, convert
from tests.support.province import bureau_account, registrar_account
from tests.support.roll_call.rejected_check_in import FENCE, RejectedCheckIn, store_rejected_check_in
from tests.support.roll_call.student_phone import OUTSIDE, make_fixes
from tests.support.staff_client import StaffClient, staff_client
from tests.support.standing.prompt_actions import decide, escalate_on_expiry
from tests.support.standing.prompts import confirm_receipt, load_prompt_id
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


@pytest.fixture
async def client(scenario: StandingScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def raise_prompt_with_check_in(
    scenario: StandingScenario, **check_in: Any
) -> tuple[UUID, RollCall, UUID]:
    """A received prompt for two misses, in the first of which the student checked in outside the site."""
    first, _ = await scenario.misses(2)
    sent = RejectedCheckIn(first, scenario.pupil, first.opens_at + timedelta(minutes=9), **check_in)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        submission_id = await store_rejected_check_in(session, sent)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    await confirm_receipt(scenario, prompt_id)
    return prompt_id, first, submission_id


async def look(
    client: StaffClient, actor: Actor, prompt_id: UUID, roll_call_id: UUID, status: int = 200
) -> Response:
    answer = await client.get(actor, f"/v1/prompts/{prompt_id}/positions/{roll_call_id}")
    assert answer.status_code == status, answer.text
    return answer


async def answer_consent(scenario: StandingScenario, version: str, *, granted: bool) -> None:
    pupil = scenario.pupil
    async with scenario.roll_call_scenario.owner_transaction() as session:
        session.add(
            Consent(
                id=new_id(),
                kind="location",
                text_version=version,
                granted=granted,
                at=scenario.at,
                school_id=pupil.school_id,
                student_id=pupil.id,
            )
        )


async def test_the_deciding_registrar_sees_fixes_outline_and_judgement(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id, roll_call, submission_id = await raise_prompt_with_check_in(scenario)
    shown = (await look(client, scenario.registrar, prompt_id, roll_call.id)).json()
    [check_in] = shown["check_ins"]
    assert check_in["submission_id"] == str(submission_id)
    assert [(fix["lon"], fix["lat"], fix["accuracy_m"]) for fix in check_in["fixes"]] == [
        (OUTSIDE[0] + step * 1e-5, OUTSIDE[1], 10.0 + step) for step in range(3)
    ]
    received_at = roll_call.opens_at + timedelta(minutes=9)
    assert [datetime.fromisoformat(fix["taken_at"]) for fix in check_in["fixes"]] == [
        received_at - timedelta(seconds=age) for age in (8.5, 4.5, 0.5)
    ]
    assert check_in["judged"] == {
        "place": "outside",
        **{key: FENCE[key] for key in ("distance_m", "probability_inside", "accuracy_m")},
    }
    [outline] = shown["outlines"]
    assert outline["version"] == 1
    assert outline["geojson"]["type"] == "MultiPolygon"
    assert scenario.pupil.name not in json.dumps(shown)


async def test_fixes_in_the_datum_of_a_map_are_shown_in_wgs84(
    scenario: StandingScenario, client: StaffClient
) -> None:
    lon, lat = convert(*OUTSIDE, source=Datum.WGS84, target=Datum.GCJ02)
    fixes = tuple(make_fixes((lon, lat), datum="gcj02"))
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario, fixes=fixes)
    shown = (await look(client, scenario.registrar, prompt_id, roll_call.id)).json()
    fix = shown["check_ins"][0]["fixes"][0]
    assert (fix["lon"], fix["lat"]) == pytest.approx(OUTSIDE, abs=1e-7)
    assert fix["datum"] == "gcj02"


async def test_each_look_is_recorded_and_the_student_reads_it_without_a_name(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario)
    registrar = scenario.registrar
    for _ in range(2):
        await look(client, registrar, prompt_id, roll_call.id)
    student = scenario.student()
    async with scenario.transaction(student) as session:
        views = [row.view for row in await load_own_picture_views(session, student, None, 10)]
    assert [(view.kind, view.source_id, view.purpose, view.role) for view in views] == [
        ("positions", roll_call.id, "prompt_decision", "registrar")
    ] * 2
    assert {view.account_id for view in views} == {registrar.account_id}
    assert all(view.at == scenario.at for view in views)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        entries = await session.scalars(
            select(AuditEntry).where(
                AuditEntry.action == "PositionsViewed", AuditEntry.subject_id == str(scenario.pupil.id)
            )
        )
        texts = [json.dumps(entry.after) for entry in entries]
    assert len(texts) == 2
    assert all(str(OUTSIDE[0])[:6] not in text for text in texts)


@pytest.mark.parametrize("version", [None, "location-1", "location-2"])
async def test_without_a_consent_that_names_the_purpose_nothing_is_shown(
    scenario: StandingScenario, client: StaffClient, version: str | None
) -> None:
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario, consent=version)
    answer = await look(client, scenario.registrar, prompt_id, roll_call.id, 409)
    assert answer.json()["code"] == "position_purpose_not_agreed"
    assert await scenario.rows(PictureView) == []


async def test_a_withdrawn_consent_closes_the_map_and_a_new_one_opens_it(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario)
    await answer_consent(scenario, "location-3", granted=False)
    answer = await look(client, scenario.registrar, prompt_id, roll_call.id, 409)
    assert answer.json()["code"] == "position_purpose_not_agreed"
    scenario.pass_time(minutes=1)
    await answer_consent(scenario, "location-3", granted=True)
    await look(client, scenario.registrar, prompt_id, roll_call.id)


async def test_only_the_account_that_decides_now_sees_positions(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario)
    world = scenario.roll_call_scenario.world
    codes = {
        "counselor": (scenario.counselor, 403, "not_permitted"),
        "bureau": (scenario.bureau, 409, "for_registrar_to_decide"),
        "province": (scenario.province, 409, "for_registrar_to_decide"),
        "sister": (registrar_account(world.sister), 404, "not_found"),
        "other city": (bureau_account(world.other_city), 404, "not_found"),
    }
    for actor, status, code in codes.values():
        assert (await look(client, actor, prompt_id, roll_call.id, status)).json()["code"] == code
    assert await scenario.rows(PictureView) == []


async def test_the_superior_sees_positions_while_a_dismissal_waits(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario)
    decision = await decide(scenario, prompt_id, "dismiss", found_reason="illness")
    scenario.pass_time(seconds=1)  # beyond the instant of the lock
    answer = await look(client, scenario.registrar, prompt_id, roll_call.id, 409)
    assert answer.json()["code"] == "for_superior_to_decide"
    await look(client, scenario.bureau, prompt_id, roll_call.id)
    path = f"/v1/prompt-decisions/{decision.id}/answer"
    await client.post(scenario.bureau, path, {"accepted": True, "opinion": "病历属实"})
    scenario.pass_time(seconds=1)
    for actor in (scenario.registrar, scenario.bureau):
        answer = await look(client, actor, prompt_id, roll_call.id, 409)
        assert answer.json()["code"] == "prompt_dismissed"


async def test_after_an_escalation_the_superior_sees_them_in_place_of_the_school(
    scenario: StandingScenario, client: StaffClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario)
    due_at = (await scenario.step(prompt_id)).due_at
    assert due_at is not None
    scenario.roll_call_scenario.clock.at = due_at + timedelta(minutes=1)
    answer = await look(client, scenario.registrar, prompt_id, roll_call.id, 409)
    assert answer.json()["code"] == "for_superior_to_decide"
    await look(client, scenario.province, prompt_id, roll_call.id, 403)
    await look(client, scenario.bureau, prompt_id, roll_call.id)
    await decide(scenario, prompt_id, "part_time", scenario.bureau)
    scenario.pass_time(seconds=1)  # beyond the instant of the lock
    assert (await scenario.step(prompt_id)).state == "decided", scenario.at
    answer = await look(client, scenario.bureau, prompt_id, roll_call.id, 409)
    assert answer.json()["code"] == "prompt_decided"


async def test_only_roll_calls_of_the_evidence_can_be_seen(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id, _, _ = await raise_prompt_with_check_in(scenario)
    other = (await scenario.roll_call_scenario.launch()).roll_call
    await look(client, scenario.registrar, prompt_id, other.id, 404)
    await look(client, scenario.registrar, prompt_id, new_id(), 404)


async def test_a_roll_call_without_check_in_says_so(scenario: StandingScenario, client: StaffClient) -> None:
    prompt_id, roll_call, _ = await raise_prompt_with_check_in(scenario)
    [stored] = await scenario.rows(PromptRecord)
    [other] = {UUID(key.removeprefix("check:")) for key in stored.evidence} - {roll_call.id}
    answer = await look(client, scenario.registrar, prompt_id, other, 409)
    assert answer.json()["code"] == "no_check_in_sent"
    assert await scenario.rows(PictureView) == []


async def test_deleted_positions_are_gone(scenario: StandingScenario, client: StaffClient) -> None:
    prompt_id, roll_call, submission_id = await raise_prompt_with_check_in(scenario)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(
            update(Submission)
            .where(Submission.id == submission_id)
            .values(envelope="", envelope_deleted_at=scenario.at)
        )
    answer = await look(client, scenario.registrar, prompt_id, roll_call.id, 410)
    assert answer.json()["code"] == "positions_deleted"
    assert await scenario.rows(PictureView) == []
