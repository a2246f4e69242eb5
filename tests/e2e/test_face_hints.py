"""Live hints about the face: the helper in the browser sees what the camera sees, and nothing depends on it."""

import io

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from backend.demo.face_animation import FaceAnimator, Pose
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from tests.e2e.camera import PICTURE, FakeCamera
from tests.e2e.pages import Visit
from tests.e2e.student_phone import answer_consents, register
from tests.e2e.system import ROOT, System

PERSON = "att-s12"
FAR, NORMAL = 3.3, 2.0
"""How many times smaller than the camera's picture a photograph is, of a face from far away and of one in the frame."""
TILES = 4


@pytest.fixture(scope="module")
def animator() -> FaceAnimator:
    """A photograph that can turn its head."""
    photograph = sample_people(sample_faces_dir(ROOT))[PERSON][0]
    return FaceAnimator(photograph.read_bytes(), PICTURE)


def wall(picture: bytes | None = None, smaller: float = NORMAL) -> bytes:
    """A rough wall without a person, or with the picture of a person before it."""
    wall = Image.effect_noise((PICTURE[0] // TILES, PICTURE[1] // TILES), 60).convert("RGB").resize(PICTURE)
    if picture is not None:
        with Image.open(io.BytesIO(picture)) as opened:
            small = opened.convert("RGB").resize((round(PICTURE[0] / smaller), round(PICTURE[1] / smaller)))
        wall.paste(small, ((PICTURE[0] - small.width) // 2, (PICTURE[1] - small.height) // 2))
    buffer = io.BytesIO()
    wall.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


async def open_face_page(page: Page, system: System, number: int) -> None:
    """Register a phone, agree to the face, and open the camera of the enrolment."""
    roster = [each for each in system.organisation.schools[1].roster if each["学习形式"] == "全日制"]
    await register(page, system, roster[-1 - number])  # other tests bind the phones of the first ones
    await page.get_by_role("button", name="下一步").click()
    await page.get_by_role("button", name="全部正确").click()
    await answer_consents(page)
    await page.goto("/m/activation/face")
    await expect(page.get_by_role("button", name="拍第 1 张")).to_be_enabled()


async def test_hints_follow_distance_and_turn(
    phone: Visit, system: System, camera: FakeCamera, animator: FaceAnimator
) -> None:
    page, hint = phone.page, phone.page.locator(".hint")

    def turned(degrees: float) -> bytes:
        return animator.frame(Pose(turned=degrees), noise_seed=1)

    async def see(picture: bytes, says: str) -> None:
        camera.show(picture)
        await expect(hint).to_have_text(says)

    await open_face_page(page, system, 0)
    await see(wall(), "没有看到脸，请靠近一点，把脸放进框里")
    await see(wall(turned(0), FAR), "再靠近一点")
    await see(turned(0), "离远一点")
    await see(wall(turned(28)), "请正对屏幕")
    assert await phone.find_barriers() == []
    await see(wall(turned(0)), "画面清楚")
    await page.get_by_role("button", name="拍第 1 张").click()
    await expect(hint).to_have_text("向左转一点")
    await see(wall(turned(18)), "画面清楚")
    await page.get_by_role("button", name="拍第 2 张").click()
    await expect(hint).to_have_text("向右转一点")


async def test_without_the_helper_pictures_are_taken_as_before(
    phone: Visit, system: System, camera: FakeCamera
) -> None:
    page = phone.page
    await page.context.route("**/face.worker-*.js", lambda route: route.abort())
    await page.context.route("**/tiny_face_detector_model-*.bin", lambda route: route.abort())
    camera.show(wall())
    await open_face_page(page, system, 1)
    await expect(page.locator(".hint")).to_have_text("画面清楚")
    await page.get_by_role("button", name="拍第 1 张").click()
    await expect(page.get_by_role("img", name="第 1 张")).to_be_visible()
