"""Reviews of sampled attestations: the list for the reviewing side, and what happens without a review."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tables import AuditEntry
from backend.notice.tables import NoticeMessage
from backend.org.calendar_years import get_working_calendar
from backend.roll_call.attestation import service
from backend.roll_call.attestation.tasks import escalate_overdue_samples
from backend.roll_call.tables import AttestationEscalation
from backend.roll_call.voiding import void_roll_call
from backend.staff_api.roll_calls.attestations import router
from tests.support.province import counselor_account, province_account, registrar_account
from tests.support.roll_call.attester import attester_position
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")
SAMPLES = "/v1/attestation-samples"


@pytest.fixture
async def scenario(
    app_context: AppContext, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> RollCallScenario:
    """Every attestation is sampled."""
    monkeypatch.setattr(service, "is_sampled", lambda *_: True)
    return await create_scenario(app_context, owner)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def attest_first_student(api: StaffClient, scenario: RollCallScenario, roll_call_id: UUID) -> UUID:
    """Attest the first student of the first class by its counselor."""
    klass = scenario.school.classes[0]
    student = klass.students[0]
    card = await api.post(scenario.registrar, f"/v1/students/{student.id}/card-code", {})
    (site,) = (await api.get(scenario.registrar, f"/v1/roll-calls/{roll_call_id}/sites")).json()
    body = {
        "student_id": str(student.id),
        "code": card.json()["code"],
        "site_version_id": site["site_version_id"],
        "reason": "手机损坏",
        "position": attester_position(),
    }
    counselor = counselor_account(scenario.school, klass)
    written = await api.post(counselor, f"/v1/roll-calls/{roll_call_id}/attestations", body)
    assert written.status_code == 201, written.text
    return student.id


async def load_escalations(scenario: RollCallScenario, roll_call_id: UUID) -> list[AttestationEscalation]:
    async with scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(AttestationEscalation).where(AttestationEscalation.roll_call_id == roll_call_id)
        )
        return list(rows)


async def test_only_the_reviewing_side_lists_the_samples(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    roll_call_id = (await scenario.launch()).roll_call.id
    student_id = await attest_first_student(api, scenario, roll_call_id)
    (sample,) = await api.every(scenario.bureau, SAMPLES, roll_call_id=roll_call_id)
    assert (sample["student_id"], sample["state"]) == (str(student_id), "open")
    assert (sample["position"]["datum"], sample["reviewed_by"]) == ("wgs84", None)
    assert (
        len(await api.every(province_account(scenario.world.province), SAMPLES, roll_call_id=roll_call_id))
        == 1
    )
    assert await api.every(scenario.registrar, SAMPLES) == []
    assert await api.every(registrar_account(scenario.world.sister), SAMPLES) == []
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    assert (await api.get(counselor, SAMPLES)).status_code == 403
    review = f"/v1/roll-calls/{roll_call_id}/attestations/{student_id}/review"
    reviewer = scenario.bureau
    await api.post(reviewer, review, {"upheld": True, "note": "已视频核对"})
    assert await api.every(scenario.bureau, SAMPLES, roll_call_id=roll_call_id, state="open") == []
    (done,) = await api.every(scenario.bureau, SAMPLES, roll_call_id=roll_call_id, state="reviewed")
    assert (done["upheld"], done["reviewed_by"]) == (True, str(reviewer.account_id))


async def test_samples_are_listed_in_pages(api: StaffClient, scenario: RollCallScenario) -> None:
    roll_calls = [(await scenario.launch(scenario.registrar, kind="school_own")).roll_call.id]
    scenario.clock.at += timedelta(hours=2)
    roll_calls.append((await scenario.launch(scenario.registrar, kind="school_own")).roll_call.id)
    scenario.clock.at -= timedelta(hours=2)
    for roll_call_id in roll_calls:
        await attest_first_student(api, scenario, roll_call_id)
        scenario.clock.at += timedelta(hours=2)
    listed = await api.every(scenario.registrar, SAMPLES, limit=1)
    assert [UUID(each["roll_call_id"]) for each in listed] == roll_calls


async def test_unreviewed_sample_is_reported_and_the_student_stays_present(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    launched = await scenario.launch()
    roll_call_id = launched.roll_call.id
    student_id = await attest_first_student(api, scenario, roll_call_id)
    async with scenario.owner_transaction() as session:
        due_at = (await get_working_calendar(session)).deadline_instant(scenario.clock(), 3)
    scenario.clock.at = due_at - timedelta(microseconds=1)
    await escalate_overdue_samples(scenario.app_context)
    assert await load_escalations(scenario, roll_call_id) == []
    scenario.clock.at = due_at
    await escalate_overdue_samples(scenario.app_context)
    await escalate_overdue_samples(scenario.app_context)
    (escalation,) = await load_escalations(scenario, roll_call_id)
    assert escalation.due_at == due_at
    assert escalation.reviewing_path == scenario.bureau.org_path
    assert escalation.reported_to == scenario.world.province.id
    outcome = (await scenario.outcomes(roll_call_id))[student_id]
    assert (outcome.outcome, outcome.reason) == ("present", "attested_on_site")
    (sample,) = await api.every(scenario.bureau, SAMPLES, roll_call_id=roll_call_id, state="overdue")
    assert sample["student_id"] == str(student_id)
    async with scenario.owner_transaction() as session:
        audited = await session.scalars(
            select(AuditEntry.subject_id).where(
                AuditEntry.action == "attestation.review_overdue",
                AuditEntry.after["roll_call"].astext == str(roll_call_id),
            )
        )
        assert audited.all() == [str(launched.roll_call.launcher_id)]
        told = await session.scalars(
            select(NoticeMessage.title_zh).where(
                NoticeMessage.kind == "attestation_review_overdue", NoticeMessage.group_id == roll_call_id
            )
        )
        assert len(told.all()) == 1
    review = f"/v1/roll-calls/{roll_call_id}/attestations/{student_id}/review"
    late = await api.post(scenario.bureau, review, {"upheld": True, "note": "已补复核"})
    assert late.status_code == 201


async def test_reviewed_and_voided_samples_are_not_reported(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    first = (await scenario.launch()).roll_call
    student_id = await attest_first_student(api, scenario, first.id)
    review = f"/v1/roll-calls/{first.id}/attestations/{student_id}/review"
    await api.post(scenario.bureau, review, {"upheld": True, "note": "已视频核对"})
    scenario.clock.at += timedelta(hours=3)
    second = (await scenario.launch()).roll_call
    await attest_first_student(api, scenario, second.id)
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await void_roll_call(session, scenario.bureau, second.id, "停电", scenario.clock())
    scenario.clock.at += timedelta(days=20)
    await escalate_overdue_samples(scenario.app_context)
    assert await load_escalations(scenario, first.id) == []
    assert await load_escalations(scenario, second.id) == []
