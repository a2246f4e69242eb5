"""Pictures that are kept: refused before they are stored if they are none, drawn anew once they are judged."""

import hashlib
import io
from collections.abc import Callable

import pytest
from PIL import Image

from backend.demo.phone import Phone
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
from tests.support.biometrics.pictures import encoded, noise
from tests.support.identity.scenario import Stage, problem_code

pytestmark = pytest.mark.clause("HN334-3.1")

SECRET = b"GPS 34.7466N 113.6253E"


def with_metadata(picture: bytes) -> bytes:
    """The picture as a phone might send it: position, maker and a comment inside, something behind its end."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    exif = image.getexif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = 1
    return encoded(image, "JPEG", exif=exif, comment=SECRET, quality=95)


def cut_off(picture: bytes) -> bytes:
    return picture[: len(picture) // 2]


def bomb(picture: bytes) -> bytes:
    return encoded(Image.new("1", (12_000, 12_000)), "PNG")


def nothing(picture: bytes) -> bytes:
    return b"\x00" * 400


async def kept_files(stage: Stage, folder: str) -> list[bytes]:
    root = stage.app_context.settings.evidence_dir / folder
    return [path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()]


@pytest.fixture
def pool(stage: Stage) -> PoolInProcess:
    """Face work without its processes."""
    pool = PoolInProcess()
    stage.app_context.services[face_pool] = pool
    return pool


async def without_face(stage: Stage) -> Phone:
    """A phone of a student who chose the way without a face: a portrait is looked at by a person."""
    phone = await stage.bound(stage.school.students[0])
    await phone.post("/v1/me/non-face-route", json={"reason": "不愿意"})
    return phone


async def consenting(stage: Stage) -> Phone:
    phone = await stage.bound(stage.school.students[0])
    await consent(phone, *VERSIONS)
    return phone


async def test_judged_shots_are_stored_without_metadata(stage: Stage, pool: PoolInProcess) -> None:
    phone = await consenting(stage)
    sent = [with_metadata(render_pattern(7, number)) for number in range(3)]
    assert all(SECRET in each for each in sent)
    assert (await phone.enrol_face(sent)).status_code == 202
    assert (await judge_newest(stage, stage.school.students[0])).status == "accepted"
    kept = await kept_files(stage, f"enrolment/{stage.school.students[0].id}")
    assert len(kept) == 3
    assert not any(SECRET in each or each in sent for each in kept)
    assert all(not Image.open(io.BytesIO(each)).getexif() for each in kept)


async def test_a_judged_portrait_is_stored_without_metadata(stage: Stage, pool: PoolInProcess) -> None:
    pupil = stage.school.students[0]
    phone = await without_face(stage)
    assert (await phone.submit_portrait(with_metadata(render_pattern(7, 1)))).status_code == 202
    portrait = await judge_newest_portrait(stage, pupil)
    (kept,) = await kept_files(stage, f"portrait/{pupil.id}")
    assert SECRET not in kept
    assert (portrait.status, portrait.sha256) == ("review", hashlib.sha256(kept).digest())


async def test_a_large_picture_is_stored_at_a_reduced_size(stage: Stage, pool: PoolInProcess) -> None:
    pupil = stage.school.students[0]
    phone = await without_face(stage)
    large = encoded(noise(4000, 3000), "JPEG", quality=60)
    assert (await phone.submit_portrait(large)).status_code == 202
    await judge_newest_portrait(stage, pupil)
    (kept,) = await kept_files(stage, f"portrait/{pupil.id}")
    width, height = Image.open(io.BytesIO(kept)).size
    assert KEPT_SIDE <= min(width, height) < 3000


async def test_an_undecodable_picture_is_refused_and_deleted_by_the_worker(
    stage: Stage, pool: PoolInProcess
) -> None:
    pupil = stage.school.students[0]
    phone = await without_face(stage)
    sound = encoded(noise(400, 300), "PNG")
    start = sound.index(b"IDAT") + 8
    broken = sound[:start] + bytes(200) + sound[start + 200 :]
    assert (await phone.submit_portrait(broken)).status_code == 202
    portrait = await judge_newest_portrait(stage, pupil)
    assert (portrait.status, portrait.reasons[0]["code"]) == ("refused", "image_broken")
    assert await kept_files(stage, f"portrait/{pupil.id}") == []


@pytest.mark.parametrize(
    ("spoilt", "status"), [(nothing, 415), (cut_off, 422), (bomb, 413)], ids=["nothing", "cut off", "bomb"]
)
async def test_an_invalid_picture_is_refused_at_once_and_not_stored(
    stage: Stage, spoilt: Callable[[bytes], bytes], status: int
) -> None:
    phone = await consenting(stage)
    fine = [render_pattern(7, number) for number in range(2)]
    answer = await phone.enrol_face([*fine, spoilt(with_metadata(render_pattern(7, 2)))])
    assert answer.status_code == status, answer.text
    assert problem_code(answer.text).startswith("image_")
    assert await kept_files(stage, f"enrolment/{stage.school.students[0].id}") == []
    assert (await phone.get("/v1/me/face")).json()["state"] == "none"
