"""Bulk acts over HTTP: one result a row, and a bad row does not stop the others."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.core.web.bulk_schemas import MAX_ROWS
from backend.people.tables import ClassCounselor
from backend.roll_call.reminders import send_reminder
from backend.roll_call.tables import Reminder, StudentCode
from backend.staff_api.bulk import router as bulk_router
from backend.staff_api.roll_calls.attestations import router as attestations_router
from backend.staff_api.standing.prompts import router as prompts_router
from tests.support.province import bureau_account, counselor_account, registrar_account
from tests.support.roll_call.attester import attester_position
from tests.support.roll_call.notices import count_notices, deliver_events
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, staff_client

Rows = list[tuple[str, str | None]]


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, bulk_router, attestations_router, prompts_router)
    yield client
    await client.http.aclose()


async def act(api: StaffClient, actor: Actor, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await api.post(actor, path, body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    outcomes = [row["outcome"] for row in found["rows"]]
    assert {name: found[name] for name in ("done", "unchanged", "refused")} == {
        name: outcomes.count(name) for name in ("done", "unchanged", "refused")
    }
    return list(found["rows"])


def summarise(rows: list[dict[str, Any]]) -> Rows:
    """The outcome of each row, and the code of its error."""
    return [(row["outcome"], row["error"] and row["error"]["code"]) for row in rows]


async def count(scenario: RollCallScenario, *conditions: Any) -> int:
    async with scenario.owner_transaction() as session:
        return await session.scalar(select(func.count()).where(*conditions)) or 0


async def attest(
    api: StaffClient, scenario: RollCallScenario, counselor: Actor, roll_call_id: UUID, student_id: UUID
) -> None:
    """Make the student present."""
    issued = await act(api, scenario.registrar, "/v1/card-codes", {"student_ids": [str(student_id)]})
    (site,) = (await api.get(counselor, f"/v1/roll-calls/{roll_call_id}/sites")).json()
    body = {
        "student_id": str(student_id),
        "code": issued[0]["code"],
        "site_version_id": site["site_version_id"],
        "reason_code": "phone_broken",
        "position": attester_position(),
    }
    written = await api.post(counselor, f"/v1/roll-calls/{roll_call_id}/attestations", body)
    assert written.status_code == 201, written.text


@pytest.mark.clause("HN334-3.4")
async def test_reminders_reach_the_chosen_students_once(api: StaffClient, scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    mine, other = scenario.school.classes
    first, second, third = mine.students
    counselor = counselor_account(scenario.school, mine)
    await attest(api, scenario, counselor, roll_call.id, third.id)
    path = f"/v1/roll-calls/{roll_call.id}/student-reminders"
    chosen = [first.id, third.id, other.students[0].id, new_id(), first.id]
    rows = await act(api, counselor, path, {"student_ids": [str(each) for each in chosen]})
    assert [row["id"] for row in rows] == [str(each) for each in chosen[:-1]]
    not_found = ("refused", "not_found")
    assert summarise(rows) == [("done", None), ("refused", "no_reminder_needed"), not_found, not_found]
    assert rows[1]["error"]["zh"]
    assert rows[1]["error"]["en"]
    again = await act(api, counselor, path, {"student_ids": [str(first.id), str(second.id)]})
    assert summarise(again) == [("refused", "urged_recently"), ("done", None)]
    await deliver_events(scenario, "RemindersSent", roll_call)
    reached = await count_notices(scenario, "roll_call_urged", roll_call)
    assert reached == {first.id: 1, second.id: 1}
    assert await count(scenario, Reminder.roll_call_id == roll_call.id) == 2
    acts = AuditEntry.action == "roll_call.remind", AuditEntry.subject_id == str(roll_call.id)
    assert await count(scenario, *acts) == 2


@pytest.mark.clause("HN334-3.4")
async def test_a_reminder_of_the_class_leaves_out_who_was_reminded_alone(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    roll_call = (await scenario.launch()).roll_call
    mine = scenario.school.classes[0]
    counselor = counselor_account(scenario.school, mine)
    path = f"/v1/roll-calls/{roll_call.id}/student-reminders"
    alone = mine.students[0].id
    assert summarise(await act(api, counselor, path, {"student_ids": [str(alone)]})) == [("done", None)]
    assert await remind_class(scenario, counselor, roll_call.id) == 2
    after = await act(api, counselor, path, {"student_ids": [str(mine.students[1].id)]})
    assert summarise(after) == [("refused", "urged_recently")]
    await deliver_events(scenario, "RemindersSent", roll_call)
    reached = await count_notices(scenario, "roll_call_urged", roll_call)
    assert reached == {pupil.id: 1 for pupil in mine.students}


async def remind_class(scenario: RollCallScenario, actor: Actor, roll_call_id: UUID) -> int:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return (await send_reminder(session, actor, roll_call_id, None, scenario.clock())).students


@pytest.mark.clause("HN334-3.2")
async def test_assignments_are_independent_of_each_other(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    first, second = scenario.school.classes
    registrar = registrar_account(scenario.school)
    foreign = scenario.world.sister.classes[0]
    pairs = [
        (first.id, second.counselor_id),
        (second.id, second.counselor_id),
        (foreign.id, first.counselor_id),
    ]
    body = {"assignments": [{"class_id": str(each), "counselor_id": str(to)} for each, to in pairs]}
    assert summarise(await act(api, registrar, "/v1/counselor-assignments", body)) == [
        ("done", None),
        ("unchanged", None),
        ("refused", "not_found"),
    ]
    current = ClassCounselor.class_id == first.id, ClassCounselor.until.is_(None)
    assert await count(scenario, *current, ClassCounselor.counselor_id == second.counselor_id) == 1
    again = await act(api, registrar, "/v1/counselor-assignments", body)
    assert summarise(again)[0] == ("unchanged", None)
    assert await count(scenario, ClassCounselor.class_id == first.id) == 2
    acts = AuditEntry.action == "ClassesAssigned", AuditEntry.subject_id == str(second.counselor_id)
    assert await count(scenario, *acts, AuditEntry.after["classes"].contains([str(first.id)])) == 1
    twice = {"assignments": body["assignments"][:1] * 2}
    refused = await api.post(registrar, "/v1/counselor-assignments", twice)
    assert (refused.status_code, refused.json()["code"]) == (422, "malformed_request")


@pytest.mark.clause("HN334-3.4")
async def test_card_codes_are_the_same_when_the_request_is_repeated(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    student = scenario.school.students[0]
    registrar = registrar_account(scenario.school)
    foreign = scenario.world.sister.students[0]
    options: dict[str, Any] = {
        "json": {"student_ids": [str(student.id), str(foreign.id)]},
        "headers": {"Idempotency-Key": str(new_id())},
    }
    first = await api.send(registrar, "POST", "/v1/card-codes", **options)
    again = await api.send(registrar, "POST", "/v1/card-codes", **options)
    assert first.status_code == 200, first.text
    assert first.json() == again.json()
    good, bad = first.json()["rows"]
    assert (good["outcome"], len(good["code"])) == ("done", 8)
    assert (bad["outcome"], bad["code"], bad["error"]["code"]) == ("refused", None, "not_found")
    assert await count(scenario, StudentCode.student_id == student.id) == 1
    issued = AuditEntry.action == "student_code.issue", AuditEntry.subject_id == str(student.id)
    assert await count(scenario, *issued) == 1


async def test_only_the_responsible_role_acts_in_bulk(api: StaffClient, scenario: RollCallScenario) -> None:
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    registrar, bureau = registrar_account(scenario.school), bureau_account(scenario.world.city)
    ids = [str(new_id())]
    for actor, path, body in (
        (counselor, "/v1/card-codes", {"student_ids": ids}),
        (counselor, "/v1/prompt-receipts", {"prompt_ids": ids}),
        (bureau, "/v1/prompt-receipts", {"prompt_ids": ids}),
        (registrar, "/v1/dismissal-acknowledgements", {"decision_ids": ids, "opinion": "同意"}),
    ):
        refused = await api.post(actor, path, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted"), path


async def test_the_number_of_rows_is_limited(api: StaffClient, scenario: RollCallScenario) -> None:
    registrar = registrar_account(scenario.school)
    for rows, status in ((0, 422), (MAX_ROWS, 200), (MAX_ROWS + 1, 422)):
        body = {"prompt_ids": [str(new_id()) for _ in range(rows)]}
        answer = await api.post(registrar, "/v1/prompt-receipts", body)
        assert answer.status_code == status, answer.text
