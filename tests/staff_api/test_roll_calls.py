"""Launch, list, reminders, results and voiding of roll calls over HTTP."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.roll_call.tables import RollCall, VerdictRecord
from backend.staff_api.roll_calls import results, roll_calls
from biometrics.liveness.actions import Action
from tests.support.province import bureau_account, counselor_account, province_account, registrar_account
from tests.support.roll_call.scenario import MICROSECOND, WINDOW, RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, is_same_refusal, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, roll_calls.router, results.router)
    yield client
    await client.http.aclose()


def body(scenario: RollCallScenario, **changes: Any) -> dict[str, Any]:
    opens = scenario.clock()
    return {
        "kind": "spot_check",
        "title": "全市中职学籍核验",
        "opens_at": opens.isoformat(),
        "closes_at": (opens + WINDOW).isoformat(),
        "audience": {"unit_ids": [str(scenario.school.id)]},
    } | changes


async def post_launch(
    api: StaffClient, scenario: RollCallScenario, actor: Actor | None = None, **changes: Any
) -> str:
    answer = await api.post(actor or scenario.bureau, "/v1/roll-calls", body(scenario, **changes))
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["id"]
    return identifier


async def test_launch_answers_with_the_frozen_counts(api: StaffClient, scenario: RollCallScenario) -> None:
    answer = await api.post(scenario.bureau, "/v1/roll-calls", body(scenario))
    frozen = answer.json()
    assert (frozen["owed"], frozen["exempt"], frozen["schools"], frozen["schools_without_site"]) == (
        6,
        0,
        1,
        0,
    )
    shown = (await api.get(scenario.registrar, f"/v1/roll-calls/{frozen['id']}")).json()
    assert (shown["phase"], shown["figures"], shown["void_reason"]) == ("open", None, None)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"title": "核\0验"}, 422, "malformed_request"),
        ({"kind": "raid"}, 422, "malformed_request"),
        ({"opens_at": "2026-11-23T09:00:00"}, 422, "malformed_request"),
        ({"figures": {"missed": 0}}, 422, "malformed_request"),
        ({"audience": {"sample": {"size": 1, "share": 0.5}}}, 422, "bad_input"),
        ({"audience": {"unit_ids": [str(new_id())]}}, 404, "not_found"),
        ({"audience": {"grades": [1999]}}, 422, "audience_empty"),
        ({"kind": "rehearsal"}, 403, "launch_not_permitted"),
    ],
)
async def test_invalid_launch_is_refused_with_its_code(
    api: StaffClient, scenario: RollCallScenario, changes: dict[str, Any], status: int, code: str
) -> None:
    if "audience" in changes:
        changes = {"audience": {"unit_ids": [str(scenario.school.id)]} | changes["audience"]}
    answer = await api.post(scenario.bureau, "/v1/roll-calls", body(scenario, **changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.clause("R3")
async def test_overlap_with_another_superiors_window_is_a_conflict(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    await post_launch(api, scenario)
    province = province_account(scenario.world.province)
    answer = await api.post(province, "/v1/roll-calls", body(scenario))
    assert (answer.status_code, answer.json()["code"]) == (409, "windows_overlap")


@pytest.mark.clause("HN334-2.3")
async def test_roll_call_of_another_tenant_answers_404(api: StaffClient, scenario: RollCallScenario) -> None:
    identifier = await post_launch(api, scenario)
    strangers = (bureau_account(scenario.world.other_city), registrar_account(scenario.world.sister))
    for stranger in strangers:
        for path in ("", "/missing", "/results"):
            foreign = await api.get(stranger, f"/v1/roll-calls/{identifier}{path}")
            assert foreign.status_code == 404
            assert is_same_refusal(foreign, await api.get(stranger, f"/v1/roll-calls/{new_id()}{path}"))
        for path, content in (("voiding", {"reason": "停电"}), ("urges", {})):
            foreign = await api.post(stranger, f"/v1/roll-calls/{identifier}/{path}", content)
            assert foreign.status_code == 404
            absent = await api.post(stranger, f"/v1/roll-calls/{new_id()}/{path}", content)
            assert is_same_refusal(foreign, absent)
        assert identifier not in {item["id"] for item in await api.every(stranger, "/v1/roll-calls")}


async def test_scheduled_roll_call_is_visible_only_to_its_launcher(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    notice = scenario.clock() + timedelta(hours=1)
    times: dict[str, Any] = {
        "notify_at": notice.isoformat(),
        "opens_at": notice.isoformat(),
        "closes_at": (notice + WINDOW).isoformat(),
    }
    identifier = await post_launch(api, scenario, **times)
    assert (await api.get(scenario.registrar, f"/v1/roll-calls/{identifier}")).status_code == 404
    assert await api.every(scenario.registrar, "/v1/roll-calls") == []
    shown = await api.get(scenario.bureau, f"/v1/roll-calls/{identifier}")
    assert shown.json()["phase"] == "scheduled"
    scenario.clock.at = notice
    assert (await api.get(scenario.registrar, f"/v1/roll-calls/{identifier}")).json()["phase"] == "open"


@pytest.mark.clause("HN334-3.3")
async def test_superiors_see_a_rehearsal_only_after_settlement(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    rehearsal = await scenario.launch(scenario.registrar, kind="rehearsal")
    path = f"/v1/roll-calls/{rehearsal.roll_call.id}"
    klass = scenario.school.classes[0]
    own = await api.get(counselor_account(scenario.school, klass), f"{path}/missing")
    assert {row["student_id"] for row in own.json()["items"]} == {str(each.id) for each in klass.students}
    assert (await api.get(scenario.bureau, path)).status_code == 404
    scenario.clock.at = rehearsal.roll_call.closes_at + MICROSECOND
    await scenario.settle(rehearsal.roll_call)
    assert (await api.get(scenario.bureau, path)).json()["phase"] == "settled"


async def test_counselor_sees_missing_students_of_own_class(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    identifier = UUID(await post_launch(api, scenario))
    klass, other = scenario.school.classes
    stuck = await scenario.activate(klass.students[0], face=False)
    await scenario.challenge(stuck, identifier)
    counselor = counselor_account(scenario.school, klass)
    path = f"/v1/roll-calls/{identifier}/missing"
    rows = await api.every(counselor, path, limit=1)
    assert {row["student_id"] for row in rows} == {str(each.id) for each in klass.students}
    (with_reason,) = [row for row in rows if row["last_refusal"]]
    assert with_reason["student_id"] == str(stuck.student_id)
    assert with_reason["last_refusal"] == "non_face_route_recorded"
    assert "辅导员" in with_reason["last_reason_zh"]
    assert [row["last_reason_zh"] for row in rows if not row["submissions"]].count(None) == len(rows) - 1
    named = klass.students[1]
    found = await api.every(counselor, path, q=named.name)
    assert str(named.id) in {row["student_id"] for row in found}
    assert all(named.name in row["name"] for row in found)
    assert await api.every(counselor, path, q="没有这个人") == []
    assert await api.every(counselor, path, class_id=str(other.id)) == []
    assert len(await api.every(scenario.registrar, path, limit=2)) == 6


async def test_missing_list_marks_students_sent_to_a_person(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    identifier = UUID(await post_launch(api, scenario))
    klass = scenario.school.classes[0]
    unable, able = [await scenario.activate(pupil) for pupil in klass.students[:2]]
    await scenario.challenge(unable, identifier, *Action)
    await scenario.submit(able, identifier)
    rows = await api.every(counselor_account(scenario.school, klass), f"/v1/roll-calls/{identifier}/missing")
    sent = {row["student_id"] for row in rows if row["sent_to_a_person"]}
    assert sent == {str(unable.student_id)}


async def test_staff_see_attempts_and_only_superiors_see_the_trace(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    identifier = UUID(await post_launch(api, scenario))
    klass, other = scenario.school.classes
    student = await scenario.activate(klass.students[0])
    challenge = await scenario.issue_challenge(student, identifier, Action.OPEN_MOUTH)
    submission_id = (await scenario.submit(student, identifier)).submission_id
    await scenario.challenge(student, identifier, *Action)
    verdict = VerdictRecord(
        submission_id=submission_id,
        roll_call_id=identifier,
        school_id=scenario.school.id,
        term_code=challenge.term_code,
        student_id=student.student_id,
        finding="step_up",
        reasons=["challenge_unanswered", "eyes_not_closed"],
        engine="test-pattern/1",
        trace={"liveness": {"thresholds": {}}},
        at=scenario.clock(),
    )
    async with scenario.owner_transaction() as session:
        session.add(verdict)
    path = f"/v1/roll-calls/{identifier}/results/{student.student_id}/attempts"
    traces = {}
    for reader in (scenario.bureau, scenario.registrar, counselor_account(scenario.school, klass)):
        seen = (await api.get(reader, path)).json()
        (attempt,) = seen["attempts"]
        assert (attempt["submission_id"], attempt["finding"]) == (str(submission_id), "step_up")
        assert (attempt["actions"], attempt["cannot"]) == (challenge.actions, ["open_mouth"])
        assert [each["code"] for each in attempt["reasons"]] == ["challenge_unanswered", "eyes_not_closed"]
        assert all(each["zh"] and each["en"] for each in attempt["reasons"])
        assert [each["code"] for each in seen["refusals"]] == ["challenge_actions_too_few"]
        traces[reader.role] = attempt["trace"]
    assert traces == {"bureau": {"liveness": {"thresholds": {}}}, "registrar": None, "counselor": None}
    for stranger in (counselor_account(scenario.school, other), registrar_account(scenario.world.sister)):
        assert (await api.get(stranger, path)).status_code == 404
    unknown_student = f"/v1/roll-calls/{identifier}/results/{new_id()}/attempts"
    assert (await api.get(scenario.bureau, unknown_student)).status_code == 404


async def test_results_after_settlement_list_all_students(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    identifier = await post_launch(api, scenario)
    at = scenario.clock()
    await scenario.announce(await load_row(scenario, identifier))
    scenario.clock.at = at + WINDOW + MICROSECOND
    await scenario.settle(await load_row(scenario, identifier))
    rows = await api.every(scenario.bureau, f"/v1/roll-calls/{identifier}/results", limit=4)
    assert len(rows) == 6
    assert {(row["outcome"], row["reason"], row["seq"]) for row in rows} == {("missed", "no_check_in", 1)}
    assert all(row["reason_zh"] and row["reason_en"] for row in rows)
    present = await api.every(scenario.bureau, f"/v1/roll-calls/{identifier}/results", outcome="present")
    assert present == []
    shown = (await api.get(scenario.bureau, f"/v1/roll-calls/{identifier}")).json()
    assert (shown["phase"], shown["figures"]["missed"]) == ("settled", 6)


async def load_row(scenario: RollCallScenario, identifier: str) -> RollCall:
    async with scenario.owner_transaction() as session:
        row: RollCall = await session.get_one(RollCall, UUID(identifier))
    return row


async def test_reminder_counts_students_and_keeps_the_interval(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    identifier = await post_launch(api, scenario)
    path = f"/v1/roll-calls/{identifier}/urges"
    first = await api.post(scenario.registrar, path, {})
    assert (first.status_code, first.json()) == (201, {"students": 6})
    again = await api.post(scenario.registrar, path, {})
    assert (again.status_code, again.json()["code"]) == (429, "urged_recently")
    superior = await api.post(scenario.bureau, path, {})
    assert (superior.status_code, superior.json()["code"]) == (403, "not_permitted")
    scenario.clock.at += WINDOW + MICROSECOND
    late = await api.post(scenario.registrar, path, {})
    assert (late.status_code, late.json()["code"]) == (409, "urging_closed")


async def test_voiding_needs_a_reason_and_works_once(api: StaffClient, scenario: RollCallScenario) -> None:
    identifier = await post_launch(api, scenario)
    path = f"/v1/roll-calls/{identifier}/voiding"
    assert (await api.post(scenario.bureau, path, {"reason": "  "})).status_code == 422
    assert (await api.post(scenario.registrar, path, {"reason": "停电"})).status_code == 403
    first = await api.post(scenario.bureau, path, {"reason": "全市停电"})
    assert (first.status_code, first.json()["phase"]) == (201, "voided")
    assert first.json()["void_reason"] == "全市停电"
    assert (await api.post(scenario.bureau, path, {"reason": "全市停电"})).status_code == 409


@pytest.mark.clause("HN334-4.1a")
async def test_voided_registration_check_does_not_count(api: StaffClient, scenario: RollCallScenario) -> None:
    async def load_overdue() -> set[str]:
        answer = await api.get(scenario.bureau, "/v1/registration-checks/overdue")
        return {row["school_id"] for row in answer.json()}

    schools = {str(scenario.school.id), str(scenario.world.sister.id)}
    assert await load_overdue() & schools == schools
    check = await scenario.launch(scenario.registrar, kind="registration")
    scenario.clock.at = check.roll_call.closes_at + MICROSECOND
    await scenario.settle(check.roll_call)
    assert await load_overdue() & schools == {str(scenario.world.sister.id)}
    path = f"/v1/roll-calls/{check.roll_call.id}/voiding"
    assert (await api.post(scenario.registrar, path, {"reason": "名单有误"})).status_code == 201
    assert await load_overdue() & schools == schools
