"""A student at the phone app in a browser: registration and activation by hand, and a face that acts before the camera."""

import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.async_api import Geolocation, Page, expect

from backend.demo.face_animation import ACTION_POSES, FaceAnimator, Pose
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from biometrics.liveness.actions import Action
from tests.e2e.camera import PICTURE, FakeCamera
from tests.e2e.pages import CAMPUS, Visit
from tests.e2e.system import ROOT, System

METRES_PER_DEGREE = 111_320
WORDS = {"张嘴": Action.OPEN_MOUTH, "向左转头": Action.TURN_LEFT, "向右转头": Action.TURN_RIGHT}
"""What the app shows for an action. Closed eyes are left out: an animated photograph rarely shows them well."""
ENROLMENT = 3
"""Photographs of the enrolment; the next one is the portrait, the one after it is animated."""


class Actor:
    """One person before the camera and at a place. Each picture and each position differs a little, as real ones do."""

    def __init__(self, camera: FakeCamera, photographs: Sequence[Path]) -> None:
        self._camera = camera
        self._photographs = photographs
        self._random = random.Random(5)
        self._noise = np.random.default_rng(5)
        self._poses: dict[Action | None, np.ndarray] = {}

    def show_photograph(self, number: int) -> None:
        """Hold still as on one of the photographs."""
        self._camera.show(self._photographs[number].read_bytes())

    def rehearse(self) -> None:
        """Render the poses of a check-in."""
        animator = FaceAnimator(self._photographs[ENROLMENT + 1].read_bytes(), PICTURE)
        for action in (None, *WORDS.values()):
            frame = animator.frame(ACTION_POSES[action] if action else Pose(), noise_seed=1)
            with Image.open(io.BytesIO(frame)) as opened:
                self._poses[action] = np.asarray(opened.convert("RGB"), np.float32)

    def act(self, word: str) -> None:
        """Do what the app says; at rest for any other word."""
        pixels = self._poses[WORDS.get(word)]
        noisy = pixels + 2 * self._noise.standard_normal((*pixels.shape[:2], 1), np.float32)
        buffer = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=92)
        self._camera.show(buffer.getvalue())

    def stand(self, north_m: float) -> Geolocation:
        """A measured position, `north_m` metres north of the middle of the campus."""
        return Geolocation(
            longitude=CAMPUS["longitude"] + self._random.gauss(0, 4) / METRES_PER_DEGREE,
            latitude=CAMPUS["latitude"] + (north_m + self._random.gauss(0, 4)) / METRES_PER_DEGREE,
            accuracy=self._random.uniform(12, 24),
        )


def make_actor(camera: FakeCamera, number: int) -> Actor:
    """One of the people with enough photographs."""
    people = sample_people(sample_faces_dir(ROOT))
    enough = [each for each in people.values() if len(each) > ENROLMENT + 1]
    return Actor(camera, enough[number])


async def register(page: Page, system: System, record: dict[str, str]) -> None:
    """Register the phone with name, ID number and the code by SMS."""
    await page.goto("/m/")
    await page.get_by_label("姓名").fill(record["姓名"])
    await page.get_by_label("身份证件号").fill(record["身份证件号"])
    await page.get_by_role("button", name="获取验证码").click()
    await page.get_by_label("短信验证码").fill(await wait_for_code(page, system, record["联系电话"]))
    await page.get_by_role("button", name="确认").click()
    await expect(page.get_by_text("共 5 步")).to_be_visible()


async def wait_for_code(page: Page, system: System, number: str) -> str:
    """The code by SMS, once the fake gateway has it."""
    await expect(page.get_by_label("短信验证码")).to_be_visible()
    while (code := await system.sms_code(number)) is None:
        await page.evaluate("new Promise((done) => requestAnimationFrame(done))")
    return code


async def activate(visit: Visit, system: System, record: dict[str, str], actor: Actor) -> None:
    """Register, then do each step of the activation as the app leads to it."""
    page = visit.page
    await register(page, system, record)
    await page.get_by_role("button", name="下一步").click()
    await page.get_by_role("button", name="全部正确").click()
    await answer_consents(page)
    await page.goto("/m/activation/face")
    for number in range(ENROLMENT):
        actor.show_photograph(number)
        await wait_for_frames(page)
        await page.get_by_role("button", name=f"拍第 {number + 1} 张").click()
        await expect(page.get_by_role("img", name=f"第 {number + 1} 张")).to_be_visible()
    await page.get_by_role("button", name="提交 3 张").click()
    await expect(page.get_by_text("采集完成")).to_be_visible()
    actor.show_photograph(ENROLMENT)
    await page.get_by_role("button", name="继续").click()
    await page.get_by_role("button", name="拍照").click()
    await page.get_by_role("button", name="拍照").click()
    await page.get_by_role("button", name="提交").click()
    await page.get_by_role("button", name="继续").click()
    await expect(page.get_by_text("全部完成")).to_be_visible()


async def wait_for_frames(page: Page) -> None:
    """Wait until the preview has had enough new frames that it shows what the camera shows now."""
    await expect(page.locator("video")).to_be_visible()
    await page.evaluate(_FRAMES)


_FRAMES = """() => new Promise((done) => {
  const video = document.querySelector('video')
  let left = 12
  const next = () => (--left ? video.requestVideoFrameCallback(next) : done())
  video.requestVideoFrameCallback(next)
})"""


async def answer_consents(page: Page) -> None:
    """Agree to each item on its own, except the one that needs a guardian on the roster."""
    for number in range(1, 7):
        await expect(page.get_by_text(f"第 {number} 项")).to_be_visible()
        heading = await page.get_by_role("heading", level=2).inner_text()
        answer = "不同意" if "监护人" in heading else "同意"
        await page.get_by_role("button", name=answer, exact=True).click()


async def begin(visit: Visit, actor: Actor, title: str, north_m: float) -> None:
    """Open the check-in from its card, and ask for actions that the actor can do."""
    page = visit.page
    actor.rehearse()
    actor.act("")
    await visit.context.set_geolocation(actor.stand(north_m))
    await page.goto("/m/")
    await page.get_by_role("region", name=title).get_by_role("button", name="开始核验").click()
    await expect(page.get_by_role("button", name="我准备好了")).to_be_visible()
    await page.get_by_role("button", name="有的动作我做不了").click()
    await page.get_by_role("checkbox", name="闭眼").click()
    async with page.expect_response(lambda answer: answer.url.endswith("/challenges")):
        await page.get_by_role("button", name="重新获取动作").click()
    await expect(page.get_by_role("button", name="我准备好了")).to_be_visible()


async def perform(visit: Visit, actor: Actor, north_m: float) -> None:
    """Start the burst and follow its words until it is over."""
    page = visit.page
    await page.get_by_role("button", name="我准备好了").click()
    sending = page.get_by_role("heading", name="正在提交")
    prompt = page.locator(".prompt .word")
    await expect(prompt.or_(sending)).to_be_visible()
    while await prompt.count():
        actor.act((await prompt.all_inner_texts() or [""])[0])
        await visit.context.set_geolocation(actor.stand(north_m))
    while not await page.get_by_text("已签名，已保存在本机").count():
        await visit.context.set_geolocation(actor.stand(north_m))
