"""Stored pictures: checked before they are stored, re-encoded after they are judged."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity.face.enrolment import load_newest_enrolment
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.face.pool import face_pool
from biometrics.engines.test_pattern import render_pattern
from biometrics.pictures.reencoding import KEPT_SIDE
from tests.identity.test_activation import (
    VERSIONS,
    PoolInProcess,
    consent,
    judge_newest,
    judge_newest_portrait,
)
from tests.support.biometrics.pictures import encode_picture, noise_picture
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.pictures import picture_exists, read_picture
from tests.support.province import SampleStudent

pytestmark = pytest.mark.clause("HN334-3.1")

SECRET = b"GPS 34.7466N 113.6253E"


def with_metadata(picture: bytes) -> bytes:
    """The picture with metadata as a phone may send it: position, maker and a comment."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    exif = image.getexif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = 1
    return encode_picture(image, "JPEG", exif=exif, comment=SECRET, quality=95)


def truncated(picture: bytes) -> bytes:
    return picture[: len(picture) // 2]


def bomb(picture: bytes) -> bytes:
    return encode_picture(Image.new("1", (12_000, 12_000)), "PNG")


def zero_bytes(picture: bytes) -> bytes:
    return b"\x00" * 400


def list_files(scenario: IdentityScenario) -> set[Path]:
    return {path for path in scenario.app_context.settings.evidence_dir.rglob("*") if path.is_file()}


async def load_shots(scenario: IdentityScenario, student: SampleStudent) -> list[bytes]:
    async with scenario.app_context.database.transaction(Scope.school(student.school_id)) as session:
        row = await load_newest_enrolment(session, student.id)
    assert row is not None
    pictures = EnrolmentRef(row.id, student.school_id, student.id).pictures(row.shots)
    return [await read_picture(scenario.app_context, picture) for picture in pictures]


@pytest.fixture
def pool(scenario: IdentityScenario) -> PoolInProcess:
    """A face pool without processes."""
    pool = PoolInProcess()
    scenario.app_context.services[face_pool] = pool
    return pool


async def bind_phone_without_face(scenario: IdentityScenario) -> Phone:
    """The phone of a student on the non-face route, whose portrait a person reviews."""
    phone = await scenario.bind_phone(scenario.school.students[0])
    await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})
    return phone


async def bind_consenting_phone(scenario: IdentityScenario) -> Phone:
    phone = await scenario.bind_phone(scenario.school.students[0])
    await consent(phone, *VERSIONS)
    return phone


async def test_judged_shots_are_stored_without_metadata(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    phone = await bind_consenting_phone(scenario)
    sent = [with_metadata(render_pattern(7, number)) for number in range(3)]
    assert all(SECRET in each for each in sent)
    assert (await phone.enrol_face(sent)).status_code == 202
    assert (await judge_newest(scenario, scenario.school.students[0])).status == "accepted"
    stored = await load_shots(scenario, scenario.school.students[0])
    assert len(stored) == 3
    assert not any(SECRET in each or each in sent for each in stored)
    assert all(not Image.open(io.BytesIO(each)).getexif() for each in stored)


async def test_a_judged_portrait_is_stored_without_metadata(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await bind_phone_without_face(scenario)
    assert (await phone.submit_portrait(with_metadata(render_pattern(7, 1)))).status_code == 202
    portrait = await judge_newest_portrait(scenario, student)
    stored = await read_picture(scenario.app_context, PortraitRef.of(portrait).picture)
    assert SECRET not in stored
    assert (portrait.status, portrait.sha256) == ("review", hashlib.sha256(stored).digest())


async def test_a_large_picture_is_stored_at_a_reduced_size(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await bind_phone_without_face(scenario)
    large = encode_picture(noise_picture(4000, 3000), "JPEG", quality=60)
    assert (await phone.submit_portrait(large)).status_code == 202
    portrait = await judge_newest_portrait(scenario, student)
    stored = await read_picture(scenario.app_context, PortraitRef.of(portrait).picture)
    width, height = Image.open(io.BytesIO(stored)).size
    assert KEPT_SIDE <= min(width, height) < 3000


async def test_an_undecodable_picture_is_refused_and_deleted_by_the_worker(
    scenario: IdentityScenario, pool: PoolInProcess
) -> None:
    student = scenario.school.students[0]
    phone = await bind_phone_without_face(scenario)
    sound = encode_picture(noise_picture(400, 300), "PNG")
    start = sound.index(b"IDAT") + 8
    broken = sound[:start] + bytes(200) + sound[start + 200 :]
    assert (await phone.submit_portrait(broken)).status_code == 202
    portrait = await judge_newest_portrait(scenario, student)
    assert (portrait.status, portrait.reasons[0]["code"]) == ("refused", "image_broken")
    assert not await picture_exists(scenario.app_context, PortraitRef.of(portrait).picture)


@pytest.mark.parametrize(
    ("corrupt", "status"),
    [(zero_bytes, 415), (truncated, 422), (bomb, 413)],
    ids=["nothing", "cut off", "bomb"],
)
async def test_an_invalid_picture_is_refused_at_once_and_not_stored(
    scenario: IdentityScenario, corrupt: Callable[[bytes], bytes], status: int
) -> None:
    phone = await bind_consenting_phone(scenario)
    fine = [render_pattern(7, number) for number in range(2)]
    before = list_files(scenario)
    answer = await phone.enrol_face([*fine, corrupt(with_metadata(render_pattern(7, 2)))])
    assert answer.status_code == status, answer.text
    assert problem_code(answer.text).startswith("image_")
    assert list_files(scenario) == before
    assert (await phone.get("/v1/me/face")).json()["state"] == "none"
