"""Pictures that are sent for two students are refused and reported to the registrars (HN334-3.1)."""

import asyncio
import io
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select, text

from backend.core.actor import Actor
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity import tables
from backend.identity.face import enrolment_judgement
from backend.identity.face.pool import face_pool
from backend.notice.tables import Notice, NoticeMessage
from backend.staff_api.organisation.pictures import router
from biometrics.engines.test_pattern import render_pattern
from tests.identity.test_activation import (
    PoolInProcess,
    consent,
    judge_newest,
    judge_newest_portrait,
    shots,
)
from tests.support.biometrics.pictures import encode_picture
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import create_staff_user
from tests.support.province import (
    PROVINCE_PATH,
    SampleStudent,
    bureau_account,
    counselor_account,
    registrar_account,
)
from tests.support.staff_client import staff_client

pytestmark = pytest.mark.clause("HN334-3.1")


@pytest.fixture
def pool(scenario: IdentityScenario) -> PoolInProcess:
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


def reencode(picture: bytes) -> bytes:
    return encode_picture(Image.open(io.BytesIO(picture)).convert("RGB"), "JPEG", quality=85)


async def send(scenario: IdentityScenario, student: SampleStudent, pictures: list[bytes]) -> Phone:
    phone = await scenario.bind_phone(student)
    await consent(phone)
    answer = await phone.enrol_face(pictures)
    assert answer.status_code == 202, answer.text
    return phone


async def enrol_with(
    scenario: IdentityScenario, student: SampleStudent, pictures: list[bytes]
) -> tables.FaceEnrolment:
    await send(scenario, student, pictures)
    return await judge_newest(scenario, student)


async def load_findings(scenario: IdentityScenario, actor: Actor) -> list[dict[str, Any]]:
    api = staff_client(scenario.app_context, router)
    items: list[dict[str, Any]] = (await api.get(actor, "/v1/shared-pictures")).json()["items"]
    await api.http.aclose()
    return items


async def count_notices(scenario: IdentityScenario, school_path: str) -> int:
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        query = (
            select(Notice.id)
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.kind == "shared_picture", Notice.org_path == school_path)
        )
        return len((await session.scalars(query)).all())


async def test_one_file_sent_three_times_is_refused_at_upload(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    await consent(phone)
    answer = await phone.enrol_face([render_pattern(7, 0)] * 3)
    assert (answer.status_code, problem_code(answer.text)) == (422, "shots_repeated")


async def test_picture_of_another_student_is_refused_and_reported(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    first, second = scenario.school.students[:2]
    assert (await enrol_with(scenario, first, shots(7))).status == "accepted"
    await create_staff_user(scenario, "registrar", scenario.school.id)
    refused = await enrol_with(scenario, second, [shots(7)[0], *shots(7, 5)[3:]])
    assert refused.status == "refused"
    assert [reason["code"] for reason in refused.reasons] == ["picture_of_other_student"]
    assert await scenario.deliver_events("SharedPictureFound") == 1
    await scenario.deliver_events("SharedPictureFound")  # a second delivery changes nothing
    [finding] = await load_findings(scenario, registrar_account(scenario.school))
    assert (finding["student_id"], finding["kind"]) == (str(second.id), "same")
    assert (finding["student_name"], finding["other_student_name"]) == (second.name, first.name)
    assert finding["sent_by_other"] is False
    assert await count_notices(scenario, scenario.school.path) == 1


async def test_near_duplicates_of_several_shots_are_refused_in_one_school(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    first, second = scenario.school.students[:2]
    await enrol_with(scenario, first, shots(7))
    refused = await enrol_with(scenario, second, [reencode(each) for each in shots(7)])
    assert [reason["code"] for reason in refused.reasons] == ["picture_of_other_student"]
    await scenario.deliver_events("SharedPictureFound")
    [finding] = await load_findings(scenario, registrar_account(scenario.school))
    assert finding["kind"] == "near_duplicate"


async def test_both_schools_learn_of_a_picture_without_each_others_names(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    ours, theirs = scenario.school.students[0], scenario.world.sister.students[0]
    await enrol_with(scenario, ours, shots(7))
    assert (await enrol_with(scenario, theirs, shots(7))).status == "refused"
    assert await scenario.deliver_events("SharedPictureFound") == 2
    [own] = await load_findings(scenario, registrar_account(scenario.school))
    assert (own["student_id"], own["sent_by_other"], own["same_school"]) == (str(ours.id), True, False)
    assert (own["other_student_name"], own["other_school_name"]) == (None, None)
    [other] = await load_findings(scenario, registrar_account(scenario.world.sister))
    assert (other["student_id"], other["sent_by_other"]) == (str(theirs.id), False)
    assert other["other_student_name"] is None
    superior = await load_findings(scenario, bureau_account(scenario.world.city))
    assert {(each["student_name"], each["other_student_name"]) for each in superior} >= {
        (ours.name, theirs.name),
        (theirs.name, ours.name),
    }


async def test_counselors_do_not_read_the_findings(scenario: IdentityScenario) -> None:
    api = staff_client(scenario.app_context, router)
    klass = scenario.school.classes[0]
    answer = await api.get(counselor_account(scenario.school, klass), "/v1/shared-pictures")
    await api.http.aclose()
    assert answer.status_code == 403


async def test_parallel_enrolments_with_one_picture_do_not_both_succeed(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    students = [scenario.school.students[0], scenario.world.sister.students[0]]
    for student in students:
        await send(scenario, student, shots(7))
    verdicts = await asyncio.gather(*(judge_newest(scenario, student) for student in students))
    assert sorted(each.status for each in verdicts) == ["accepted", "refused"]


async def test_own_pictures_may_be_sent_again_and_for_the_portrait(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await send(scenario, student, shots(7))
    assert (await judge_newest(scenario, student)).status == "accepted"
    for _ in range(2):
        await phone.submit_portrait(render_pattern(7, 0))
        assert (await judge_newest_portrait(scenario, student)).status == "accepted"
    assert await scenario.deliver_events("SharedPictureFound") == 0


async def test_portrait_of_another_student_is_refused_and_a_near_duplicate_reviewed(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    portraits: list[tables.Portrait] = []
    for student in scenario.school.students[:3]:
        phone = await scenario.bind_phone(student)
        await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})
        picture = render_pattern(7, 1)
        await phone.submit_portrait(reencode(picture) if len(portraits) == 2 else picture)
        portraits.append(await judge_newest_portrait(scenario, student))
    assert [each.status for each in portraits] == ["review", "refused", "review"]
    assert portraits[1].reasons[0]["code"] == "picture_of_other_student"
    assert portraits[2].reasons[-1]["code"] == "portrait_like_other_student"
    assert await scenario.deliver_events("SharedPictureFound") == 2


async def test_hashes_are_deleted_with_the_consent(scenario: IdentityScenario, pool: PoolInProcess) -> None:
    first, second = scenario.school.students[:2]
    phone = await send(scenario, first, shots(7))
    await judge_newest(scenario, first)
    await phone.consent("face_use", "face-use-1", granted=False)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        kept = select(tables.PictureFingerprint).where(tables.PictureFingerprint.student_id == first.id)
        assert (await session.scalars(kept)).all() == []
    assert (await enrol_with(scenario, second, shots(7))).status == "accepted"


@pytest.mark.parametrize("enabled", [True, False])
async def test_accepted_face_is_searched_only_while_the_search_is_on(
    scenario: IdentityScenario, pool: PoolInProcess, monkeypatch: pytest.MonkeyPatch, *, enabled: bool
) -> None:
    monkeypatch.setattr(enrolment_judgement, "is_search_enabled", lambda _: enabled)
    student = scenario.school.students[0]
    assert (await enrol_with(scenario, student, shots(7))).status == "accepted"
    jobs = text(
        "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'search_duplicates'"
        " AND args ->> 'student_id' = :student"
    )
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        assert await session.scalar(jobs, {"student": str(student.id)}) == enabled
