"""Verification with learned thresholds: no score decides without them, and rehearsals give what they are learned from.

The test engine stands for an engine for photographs: its fixed thresholds are hidden.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, select

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.identity.face.calibration import lookup
from backend.identity.face.calibration.policy import age_groups
from backend.identity.face.calibration.rules import group_of
from backend.identity.face.calibration.tables import (
    FaceCalibrationProbe,
    FaceThresholdVersion,
    RehearsalConfirmation,
)
from backend.people.tables import Consent, Student
from backend.policy.installed import policy_at
from backend.roll_call.launch.audience import Audience
from backend.staff_api.roll_calls.rehearsals import router
from tests.support.province import SampleStudent, counselor_account, registrar_account
from tests.support.roll_call.scenario import MICROSECOND, WINDOW, RollCallScenario
from tests.support.roll_call.student_phone import OUTSIDE, StudentWithPhone, make_fixes, render_burst
from tests.support.staff_client import StaffClient, staff_client

pytestmark = [pytest.mark.clause("HN334-3.4"), pytest.mark.xdist_group("learned_thresholds")]


WAITS = ["look_without_consent"]
"""The reason of a face that waits for a person; the students of the scenario have not consented to a look."""


@pytest.fixture(autouse=True)
async def _learned(scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Hide the fixed thresholds of the test engine, and remove the versions of each test."""

    def none(*_: object) -> None:
        return None

    monkeypatch.setattr(lookup, "fixed_thresholds", none)
    yield
    async with scenario.owner_transaction() as session:
        await session.execute(
            delete(FaceThresholdVersion).where(FaceThresholdVersion.engine_id == "test-pattern")
        )


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def add_version(
    scenario: RollCallScenario, pupil: SampleStudent, *, accept_from: float, bound: float | None = 0.5
) -> None:
    """Put thresholds in force whose only group is that of the student."""
    async with scenario.owner_transaction() as session:
        row = await session.get_one(Student, pupil.id)
        policy = policy_at(legal_day(scenario.clock()), "410000")
        group = group_of(row.sex, row.birth_date, legal_day(scenario.clock()), age_groups(policy))
        session.add(
            FaceThresholdVersion(
                id=new_id(),
                engine_id="test-pattern",
                engine_version="1",
                version=7,
                method="neutral",
                population_version=0,
                accept_from=accept_from,
                reject_below=0.1,
                people=60,
                probes=60,
                minimum=50,
                demonstration=False,
                groups=[{"group": group, "bound": bound}],
                policy_version="test",
                effect="at_once",
                reason="tightened",
                learned_at=scenario.clock(),
            )
        )


async def add_confirmation(scenario: RollCallScenario) -> None:
    klass = scenario.school.classes[0]
    async with scenario.owner_transaction() as session:
        session.add(
            RehearsalConfirmation(
                id=new_id(),
                school_id=scenario.school.id,
                roll_call_id=new_id(),
                class_id=klass.id,
                account_id=new_id(),
                confirmed=30,
                excluded=0,
                at=scenario.clock(),
            )
        )


async def verdict_of(scenario: RollCallScenario, student: StudentWithPhone, **changes: Any) -> Any:
    launched = await scenario.launch(**changes)
    return await scenario.pass_roll_call(student, launched.roll_call.id)


async def test_without_thresholds_the_face_waits_for_a_person(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    verdict = await verdict_of(scenario, student)
    assert (verdict.finding, verdict.reasons) == ("undetermined", WAITS)
    face = verdict.trace["face"]
    assert face["decision"] == "unproven"
    assert face["score"] > 0.9
    assert (face["accept_from"], face["thresholds"], face["thresholds_missing"]) == (
        None,
        None,
        "no_threshold",
    )
    assert face["group_minimum"] == 50


async def test_another_face_is_not_rejected_without_thresholds(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    challenge = await scenario.issue_challenge(student, launched.roll_call.id)
    stranger = StudentWithPhone(student.actor, student.phone, student.person + 1)
    frames = await scenario.answer(stranger, launched.roll_call.id)
    assert challenge.nonce
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, frames))
    assert (verdict.finding, verdict.reasons[0]) == ("undetermined", WAITS[0])


@pytest.mark.parametrize(
    ("accept_from", "finding", "decision"),
    [(0.5, "accepted", "accept"), (0.9999999, "step_up", "step_up")],
)
async def test_learned_thresholds_decide(
    scenario: RollCallScenario,
    student: StudentWithPhone,
    accept_from: float,
    finding: str,
    decision: str,
) -> None:
    await add_version(scenario, scenario.school.students[0], accept_from=accept_from)
    await add_confirmation(scenario)
    verdict = await verdict_of(scenario, student)
    face = verdict.trace["face"]
    assert (verdict.finding, face["decision"]) == (finding, decision)
    assert (face["thresholds"], face["accept_from"], face["reject_below"]) == (7, accept_from, 0.1)
    assert face["thresholds_missing"] is None


async def test_school_without_a_confirmed_rehearsal_and_a_small_group_wait_for_a_person(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    await add_version(scenario, scenario.school.students[0], accept_from=0.5, bound=None)
    missing = (await verdict_of(scenario, student)).trace["face"]["thresholds_missing"]
    assert missing == "school_not_rehearsed"
    await add_confirmation(scenario)
    scenario.clock.at += WINDOW + MICROSECOND
    missing = (await verdict_of(scenario, student)).trace["face"]["thresholds_missing"]
    assert missing == "group_too_small"


# --- rehearsals ---


async def agree_to_probes(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    ids = {"school_id": scenario.school.id, "student_id": student.student_id}
    policy = policy_at(legal_day(scenario.clock()), "410000")
    kind = "face_template_storage"
    [current] = [row["version"] for row in policy.table("consent.versions") if row["purpose"] == kind]
    at = scenario.clock() + MICROSECOND
    async with scenario.owner_transaction() as session:
        session.add(Consent(id=new_id(), kind=kind, text_version=current, granted=True, at=at, **ids))


async def probes_of(scenario: RollCallScenario, student: StudentWithPhone) -> list[FaceCalibrationProbe]:
    async with scenario.owner_transaction() as session:
        return list(
            await session.scalars(
                select(FaceCalibrationProbe).where(FaceCalibrationProbe.student_id == student.student_id)
            )
        )


@pytest.mark.clause("HN334-3.3")
async def test_counselor_confirms_who_was_at_the_rehearsal(
    scenario: RollCallScenario, student: StudentWithPhone, api: StaffClient
) -> None:
    klass = scenario.school.classes[0]
    mate = await scenario.activate(klass.students[1])
    rehearsal = await scenario.launch(scenario.registrar, kind="rehearsal", audience=Audience())
    for each in (student, mate):
        await agree_to_probes(scenario, each)
        verdict = await scenario.pass_roll_call(each, rehearsal.roll_call.id)
        assert verdict.reasons == ["rehearsal_face_unproven"]
    counselor = counselor_account(scenario.school, klass)
    path = f"/v1/roll-calls/{rehearsal.roll_call.id}"
    [listed] = (await api.get(counselor, f"{path}/rehearsal")).json()
    shown = {each["student_id"] for each in listed["check_ins"]}
    assert (listed["class_id"], shown) == (str(klass.id), {str(student.student_id), str(mate.student_id)})
    body = {"class_id": str(klass.id), "excluded": [str(mate.student_id)]}
    early = await api.post(counselor, f"{path}/rehearsal-confirmations", body)
    assert early.json()["code"] == "rehearsal_still_open"
    scenario.clock.at = rehearsal.roll_call.closes_at + MICROSECOND
    other = counselor_account(scenario.school, scenario.school.classes[1])
    assert (await api.post(other, f"{path}/rehearsal-confirmations", body)).status_code == 404
    refused = await api.post(registrar_account(scenario.school), f"{path}/rehearsal-confirmations", body)
    assert refused.status_code == 403
    done = await api.post(counselor, f"{path}/rehearsal-confirmations", body)
    assert (done.status_code, done.json()["confirmed"], done.json()["excluded"]) == (201, 1, 1)
    [probe] = await probes_of(scenario, student)
    assert probe.confirmation_id is not None
    assert await probes_of(scenario, mate) == []
    again = await api.post(counselor, f"{path}/rehearsal-confirmations", body)
    assert again.json()["code"] == "rehearsal_already_confirmed"
    assert await scenario.load_events("RehearsalConfirmed", rehearsal.roll_call.id)


async def test_only_a_rehearsal_has_check_ins_to_confirm(
    scenario: RollCallScenario, student: StudentWithPhone, api: StaffClient
) -> None:
    await agree_to_probes(scenario, student)
    launched = await scenario.launch()
    await scenario.pass_roll_call(student, launched.roll_call.id)
    assert await probes_of(scenario, student) == []
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    answer = await api.get(counselor, f"/v1/roll-calls/{launched.roll_call.id}/rehearsal")
    assert answer.json()["code"] == "not_a_rehearsal"


async def test_a_check_in_that_did_not_pass_is_not_learned_from(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    await agree_to_probes(scenario, student)
    rehearsal = await scenario.launch(scenario.registrar, kind="rehearsal", audience=Audience())
    still = render_burst(student.person)
    for content in ({"frames": still}, {"fixes": make_fixes(OUTSIDE)}):
        submission = await scenario.check_in(student, rehearsal.roll_call.id, **content)
        assert (await scenario.verify(submission)).finding != "accepted"
    assert await probes_of(scenario, student) == []


async def test_fixed_thresholds_need_no_probes(
    scenario: RollCallScenario, student: StudentWithPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    await agree_to_probes(scenario, student)
    rehearsal = await scenario.launch(scenario.registrar, kind="rehearsal", audience=Audience())
    verdict = await scenario.pass_roll_call(student, rehearsal.roll_call.id)
    assert (verdict.finding, verdict.trace["face"]["thresholds"]) == ("accepted", "fixed")
    assert await probes_of(scenario, student) == []
