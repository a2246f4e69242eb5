"""The steps of activation: record, separate consents, face or the non-face route, portrait (HN334-3.1)."""

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from procrastinate.tasks import Task
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity import tables
from backend.identity.accounts.activation import open_activation_steps
from backend.identity.face.enrolment import load_newest_enrolment
from backend.identity.face.enrolment_judgement import judge_enrolment
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.face.pool import face_pool
from backend.identity.face.portrait_judgement import judge_portrait
from backend.identity.face.portraits import load_newest_portrait
from backend.identity.face.tasks import enrol_face
from backend.identity.face.tasks import judge_portrait as judge_portrait_task
from backend.identity.face.templates import load_active_template
from backend.people.identifiers import mask
from backend.people.tables import Student
from biometrics.engines.base import EngineInfo, EngineSet
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.matching.scoring import MatchReference
from biometrics.pictures.fingerprints import Fingerprint
from biometrics.pictures.reencoding import fingerprint_picture, reencode_picture
from biometrics.pool import FaceWorkerLost
from biometrics.tasks import BurstResult, EnrolmentResult, FaceRules, Shot, enrol_shots, verify_burst
from biometrics.templates.sealing import TemplateUnreadable
from tests.support.biometrics.pictures import encode_picture, noise_picture
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import create_staff_user
from tests.support.pictures import remove_pictures
from tests.support.province import PROVINCE_PATH, SampleStudent

pytestmark = pytest.mark.clause("HN334-3.1")
VERSIONS = {"face_use": "face-use-1", "face_template_storage": "face-template-2", "location": "location-3"}


class PoolInProcess:
    """The work of the face pool in this process; `lost` simulates a worker that died twice."""

    def __init__(self) -> None:
        self.engines = EngineSet([PatternEngine()])
        self.lost = False

    def enrolment_engine(self) -> EngineInfo:
        return self.engines.infos()[0]

    async def enrol(self, shots: Sequence[Shot], rules: FaceRules) -> EnrolmentResult:
        if self.lost:
            raise FaceWorkerLost
        return enrol_shots(self.engines, shots, rules)

    async def verify(self, burst: Sequence[Shot], reference: MatchReference, rules: FaceRules) -> BurstResult:
        return verify_burst(self.engines, burst, reference, rules)

    async def reencode(self, data: bytes) -> bytes | None:
        return reencode_picture(self.engines, data)

    async def fingerprint(self, data: bytes) -> Fingerprint | None:
        return fingerprint_picture(self.engines, data)


class PoolWithoutMatching(PoolInProcess):
    """Re-encodes pictures, but fails on any face matching."""

    async def enrol(self, shots: Sequence[Shot], rules: FaceRules) -> EnrolmentResult:
        raise AssertionError

    async def verify(self, burst: Sequence[Shot], reference: MatchReference, rules: FaceRules) -> BurstResult:
        raise AssertionError


@pytest.fixture
def pool(scenario: IdentityScenario) -> PoolInProcess:
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


def shots(person: int, count: int = 3) -> list[bytes]:
    return [render_pattern(person, number) for number in range(count)]


async def consent(phone: Phone, *kinds: str) -> None:
    for kind in kinds or VERSIONS:
        assert (await phone.consent(kind, VERSIONS[kind])).status_code == 201


async def judge_newest(scenario: IdentityScenario, student: SampleStudent) -> tables.FaceEnrolment:
    scope = Scope.student(student.school_id, student.id)
    async with scenario.app_context.database.transaction(scope) as session:
        row = await load_newest_enrolment(session, student.id)
    assert row is not None
    await judge_enrolment(scenario.app_context, EnrolmentRef(row.id, student.school_id, student.id))
    async with scenario.app_context.database.transaction(scope) as session:
        return await session.get_one(tables.FaceEnrolment, row.id)


async def judge_newest_portrait(scenario: IdentityScenario, student: SampleStudent) -> tables.Portrait:
    scope = Scope.student(student.school_id, student.id)
    async with scenario.app_context.database.transaction(scope) as session:
        row = await load_newest_portrait(session, student.id)
    assert row is not None
    await judge_portrait(scenario.app_context, PortraitRef(row.id, student.school_id, student.id))
    async with scenario.app_context.database.transaction(scope) as session:
        return await session.get_one(tables.Portrait, row.id)


async def load_portraits(scenario: IdentityScenario, student: SampleStudent) -> list[tables.Portrait]:
    async with scenario.app_context.database.transaction(
        Scope.student(student.school_id, student.id)
    ) as session:
        return list(await session.scalars(select(tables.Portrait)))


async def enrol(scenario: IdentityScenario, student: SampleStudent, person: int = 7) -> Phone:
    phone = await scenario.bind_phone(student)
    await consent(phone)
    assert (await phone.enrol_face(shots(person))).status_code == 202
    assert (await judge_newest(scenario, student)).status == "accepted"
    return phone


async def load_open_steps(scenario: IdentityScenario, student: SampleStudent) -> list[str]:
    async with scenario.app_context.database.transaction(Scope.school(student.school_id)) as session:
        return await open_activation_steps(session, student.id)


async def test_activation_is_complete_once_every_step_is_done(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    assert await load_open_steps(scenario, student) == [
        "account",
        "record_check",
        "location_consent",
        "face",
        "portrait",
    ]
    phone = await enrol(scenario, student)
    assert await load_open_steps(scenario, student) == ["record_check", "portrait"]
    await phone.post("/v1/me/record/checks", json={"result": "confirmed"})
    assert (await phone.submit_portrait(render_pattern(7, 40))).status_code == 202
    assert (await judge_newest_portrait(scenario, student)).status == "accepted"
    assert await load_open_steps(scenario, student) == []
    assert (await phone.get("/v1/me")).json()["activated"] is True
    assert (await phone.get("/v1/me/face")).json()["state"] == "accepted"


async def test_the_own_record_is_shown_with_masked_identifiers(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    answer = await phone.get("/v1/me/record")
    assert answer.json()["name"] == student.name
    assert answer.json()["school_name"] == scenario.school.unit.name
    assert answer.json()["id_number"] == mask(student.id_number)
    assert answer.json()["student_number"] == mask(student.student_number)
    assert student.id_number[6:14] not in answer.text.replace(answer.json()["birth_date"], "")
    assert "13800000000" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"result": "wrong"},
        {"result": "wrong", "field": "phone"},
        {"result": "wrong", "field": "password", "claimed": "x"},
        {"result": "confirmed", "field": "phone", "claimed": "1"},
        {"result": "confirmed", "status": "accepted"},
    ],
)
async def test_a_record_check_confirms_or_names_the_wrong_field(
    scenario: IdentityScenario, body: dict[str, str]
) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    assert (await phone.post("/v1/me/record/checks", json=body)).status_code == 422


async def test_consents_are_separate_and_refer_to_the_current_text(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    assert (await phone.consent("face_use", "face-use-0")).status_code == 422
    assert (await phone.consent("everything", "all-1")).status_code == 422
    await consent(phone, "location")
    listed = {item["kind"]: item["granted"] for item in (await phone.get("/v1/me/consents")).json()}
    assert {kind: listed[kind] for kind in VERSIONS} == {
        "face_use": None,
        "face_template_storage": None,
        "location": True,
    }
    await phone.consent("location", "location-3", granted=False)
    assert "location_consent" in (await phone.get("/v1/me")).json()["open"]


async def test_a_student_below_fourteen_needs_a_guardian_to_consent(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    born = legal_day(scenario.clock()) - timedelta(days=13 * 365)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await session.execute(update(Student).where(Student.id == student.id).values(birth_date=born))
    assert problem_code((await phone.consent("location", "location-3")).text) == "guardian_needed"
    body = {"kind": "location", "granted": True, "text_version": "location-3", "guardian_name": "张大山"}
    assert (await phone.post("/v1/me/consents", json=body)).status_code == 201


async def test_no_shot_is_stored_without_both_face_consents(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    await consent(phone, "face_use", "location")
    refused = await phone.enrol_face(shots(7))
    assert (refused.status_code, problem_code(refused.text)) == (409, "consent_missing")
    assert not list(
        scenario.app_context.settings.evidence_dir.glob(f"enrolment/{scenario.school.students[0].id}/*/*")
    )


async def test_refused_shots_have_reasons_and_can_be_submitted_again(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    await consent(phone)
    await phone.enrol_face([*shots(7, 2), encode_picture(noise_picture(320, 240), "JPEG")])
    assert problem_code((await phone.enrol_face(shots(7))).text) == "enrolment_pending"
    assert (await judge_newest(scenario, student)).status == "refused"
    answer = (await phone.get("/v1/me/face")).json()
    assert answer["state"] == "refused"
    assert {reason["shot"] for reason in answer["reasons"]} == {2, None}
    assert all(reason["zh"] and reason["en"] for reason in answer["reasons"])
    assert (await phone.enrol_face(shots(7))).status_code == 202


async def test_shots_of_two_persons_make_no_template(scenario: IdentityScenario, pool: PoolInProcess) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    await consent(phone)
    await phone.enrol_face([*shots(7, 2), *shots(8, 1)])
    assert [reason["code"] for reason in (await judge_newest(scenario, student)).reasons] == [
        "face_shots_disagree"
    ]


async def test_the_sixth_enrolment_must_wait_after_five_refusals(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    await consent(phone)
    for _ in range(5):
        await phone.enrol_face(
            [encode_picture(noise_picture(320, 240, number), "JPEG") for number in range(3)]
        )
        await judge_newest(scenario, student)
    assert problem_code((await phone.enrol_face(shots(7))).text) == "too_many_attempts"
    scenario.clock.offset = timedelta(seconds=61)
    assert (await phone.enrol_face(shots(7))).status_code == 202


async def test_a_failing_face_service_does_not_count_as_an_attempt(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    await consent(phone)
    pool.lost = True
    for _ in range(6):
        assert (await phone.enrol_face(shots(7))).status_code == 202
        assert (await judge_newest(scenario, student)).engine is None
    pool.lost = False
    assert (await phone.enrol_face(shots(7))).status_code == 202
    assert (await judge_newest(scenario, student)).status == "accepted"


async def test_a_student_cannot_replace_the_own_enrolled_face(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    assert problem_code((await phone.enrol_face(shots(8))).text) == "face_already_enrolled"
    await phone.consent("face_template_storage", "face-template-2", granted=False)
    await consent(phone)
    assert (await phone.enrol_face(shots(8))).status_code == 202
    assert (await judge_newest(scenario, student)).status == "review"


async def test_judging_an_enrolment_twice_changes_nothing(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    await enrol(scenario, student)
    assert (await judge_newest(scenario, student)).status == "accepted"
    async with scenario.app_context.database.transaction(
        Scope.student(student.school_id, student.id)
    ) as session:
        assert len((await session.scalars(select(tables.FaceTemplateRecord))).all()) == 1


async def test_the_database_refuses_a_second_active_template(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    await enrol(scenario, student)
    copied = text(
        "INSERT INTO face_template (id, school_id, student_id, enrolment_id, engine_id, engine_version, purpose,"
        " sealed, status, created_at) SELECT gen_random_uuid(), school_id, student_id, :enrolment, engine_id,"
        " engine_version, purpose, sealed, 'active', created_at FROM face_template WHERE student_id = :student"
    )
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        other = tables.FaceEnrolment(
            id=new_id(),
            school_id=student.school_id,
            student_id=student.id,
            status="accepted",
            shots=3,
            reasons=[],
            submitted_at=scenario.clock(),
        )
        session.add(other)
    with pytest.raises(IntegrityError, match="uq_face_template_active"):
        async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            await session.execute(copied, {"enrolment": other.id, "student": student.id})


async def test_a_template_opens_for_its_own_student_only(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    first, second = scenario.school.students[:2]
    await enrol(scenario, first, 7)
    await enrol(scenario, second, 8)
    wide = Scope.wide(PROVINCE_PATH)
    async with scenario.owner.transaction(wide) as session:
        sealed = await session.scalar(
            select(tables.FaceTemplateRecord.sealed).where(tables.FaceTemplateRecord.student_id == first.id)
        )
        await session.execute(
            update(tables.FaceTemplateRecord)
            .where(tables.FaceTemplateRecord.student_id == second.id)
            .values(sealed=sealed)
        )
    async with scenario.owner.transaction(wide) as session:
        assert await load_active_template(session, scenario.app_context.keys, first.id) is not None
        with pytest.raises(TemplateUnreadable):
            await load_active_template(session, scenario.app_context.keys, second.id)


@pytest.mark.parametrize("kind", ["face_use", "face_template_storage"])
async def test_revoking_a_face_consent_shreds_and_selects_the_non_face_route(
    scenario: IdentityScenario, pool: PoolInProcess, kind: str
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    assert (await phone.consent(kind, VERSIONS[kind], granted=False)).status_code == 201
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        assert await session.get(tables.TemplateKey, student.id) is None
        assert await load_active_template(session, scenario.app_context.keys, student.id) is None
    assert "face" not in await load_open_steps(scenario, student)


async def test_the_non_face_route_completes_activation_without_face_matching(
    scenario: IdentityScenario,
) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    await consent(phone, "location")
    assert problem_code((await phone.submit_portrait(render_pattern(7, 1))).text) == "face_step_open"
    assert (await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})).status_code == 204
    await phone.post("/v1/me/record/checks", json={"result": "confirmed"})
    await phone.submit_portrait(render_pattern(7, 1))
    scenario.app_context.services[face_pool] = PoolWithoutMatching()
    assert (await judge_newest_portrait(scenario, student)).status == "review"
    assert await load_open_steps(scenario, student) == []


async def test_a_portrait_of_another_person_is_refused_with_a_reason(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    await phone.submit_portrait(render_pattern(99, 1))
    assert problem_code((await phone.submit_portrait(render_pattern(7, 1))).text) == "enrolment_pending"
    await judge_newest_portrait(scenario, student)
    answer = (await phone.get("/v1/me/portrait")).json()
    assert (answer["state"], answer["reasons"][0]["code"]) == ("refused", "portrait_other_person")
    assert "portrait" in await load_open_steps(scenario, student)


async def upload(phone: Phone, **options: object) -> Response:
    return await phone.post("/v1/me/face", **options)


async def test_a_malformed_upload_is_refused(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    await consent(phone)
    limit = scenario.app_context.settings.request_body_limit
    assert (await phone.enrol_face(shots(7, 2))).status_code == 422
    assert (await phone.enrol_face(shots(7, 6))).status_code == 422
    assert (await phone.enrol_face([b"x" * limit] * 3)).status_code == 413
    assert (await upload(phone, content=b"x")).status_code == 415
    assert (await upload(phone, files=[("other", ("a.jpg", b"x"))])).status_code == 422
    broken = {"Content-Type": "multipart/form-data; boundary=b"}
    assert (await upload(phone, content=b"--b\r\nnonsense", headers=broken)).status_code in {400, 422}
    assert (
        await upload(phone, content=b"", headers={"Content-Type": "multipart/form-data"})
    ).status_code == 400


async def test_another_schools_registrar_cannot_see_the_student(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.bind_phone(student)
    stranger = await create_staff_user(scenario, "registrar", scenario.world.sister.id)
    own = await create_staff_user(scenario, "registrar", scenario.school.id)
    overview = (await own.get(f"/v1/students/{student.id}/activation")).json()
    assert overview["done"] == ["account"]
    assert overview["device"]["cool_down_until"] is None
    assert (await stranger.get(f"/v1/students/{student.id}/activation")).status_code == 404
    path = f"/v1/students/{student.id}/device/revocation"
    assert (await stranger.post(path, {"reason": "越权"})).status_code == 404
    assert UUID(overview["student_id"]) == student.id


async def run_judging(
    scenario: IdentityScenario, student: SampleStudent, task: Task[..., Any, Any], **which: str
) -> None:
    """Run the last attempt of a judging task."""
    parts = {"additional_context": {"app_context": scenario.app_context}, "job": SimpleNamespace(attempts=8)}
    who = {"school_id": str(student.school_id), "student_id": str(student.id)}
    await task(SimpleNamespace(**parts), **which, **who)


async def test_unjudged_shots_do_not_block_another_enrolment(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await scenario.bind_phone(student)
    await consent(phone)
    assert (await phone.enrol_face(shots(7))).status_code == 202
    async with scenario.app_context.database.transaction(
        Scope.student(student.school_id, student.id)
    ) as session:
        row = await load_newest_enrolment(session, student.id)
    assert row is not None
    ref = EnrolmentRef(row.id, student.school_id, student.id)
    await remove_pictures(scenario.app_context, ref.pictures(3))
    with pytest.raises(FileNotFoundError):
        await run_judging(scenario, student, enrol_face, enrolment_id=str(row.id))
    answer = (await phone.get("/v1/me/face")).json()
    assert (answer["state"], answer["reasons"][0]["code"]) == ("refused", "pictures_unjudged")
    assert (await phone.enrol_face(shots(7))).status_code == 202
    assert (await judge_newest(scenario, student)).status == "accepted"


async def test_an_unjudged_portrait_can_be_submitted_again(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await enrol(scenario, student)
    assert (await phone.submit_portrait(render_pattern(7, 1))).status_code == 202
    (row,) = await load_portraits(scenario, student)
    await scenario.app_context.evidence.delete([row.evidence_key])
    with pytest.raises(FileNotFoundError):
        await run_judging(scenario, student, judge_portrait_task, portrait_id=str(row.id))
    answer = (await phone.get("/v1/me/portrait")).json()
    assert (answer["state"], answer["reasons"][0]["code"]) == ("refused", "pictures_unjudged")
    assert (await phone.submit_portrait(render_pattern(7, 1))).status_code == 202
