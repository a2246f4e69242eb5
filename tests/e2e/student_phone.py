"""A student at the phone app in a browser: registration and activation by hand, and a face that acts before the camera."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.async_api import Geolocation, Page, expect

from backend.core.clock import legal_day
from backend.demo.face_animation import ACTION_POSES, FaceAnimator, Pose
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.identity.rules import age_on
from biometrics.liveness.actions import Action
from tests.e2e.camera import PICTURE, FakeCamera
from tests.e2e.pages import CAMPUS, Visit
from tests.e2e.system import ROOT, System

METRES_PER_DEGREE = 111_320
WORDS = {
    "张嘴": Action.OPEN_MOUTH,
    "向左转头": Action.TURN_LEFT,
    "向右转头": Action.TURN_RIGHT,
    "闭眼": Action.CLOSE_EYES,
}
"""What the app shows for an action."""
ENROLMENT = 3
"""Photographs of the enrolment; the next one is the portrait, the others are animated, one in each check-in."""
STUDENT, OTHER = "att-s16", "att-s18"
"""Two people of the sample photographs whose animated photographs below show every action to the product's own measure."""
ACTING = {STUDENT: (4, 9, 5), OTHER: (7, 5)}
"""Numbers of the photographs to animate. The product recognises a picture that it saw before, so only as many check-ins
are accepted."""


class Actor:
    """One person before the camera and at a place. Each picture and each position differs a little, as real ones do."""

    def __init__(self, camera: FakeCamera, person: str, seed: int = 5) -> None:
        self._camera = camera
        self._photographs: Sequence[Path] = sample_people(sample_faces_dir(ROOT))[person]
        self._acting = list(ACTING[person])
        self._random = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self._poses: dict[Action | None, np.ndarray] = {}

    def show_photograph(self, number: int) -> None:
        """Hold still as on one of the photographs."""
        self._camera.show(self._photographs[number].read_bytes())

    def rehearse(self) -> None:
        """Render the poses of a check-in from the next photograph, and look straight ahead."""
        animator = FaceAnimator(self._photographs[self._acting[0]].read_bytes(), PICTURE)
        self._acting.append(self._acting.pop(0))
        for action in (None, *WORDS.values()):
            frame = animator.frame(ACTION_POSES[action] if action else Pose(), noise_seed=1)
            with Image.open(io.BytesIO(frame)) as opened:
                self._poses[action] = np.asarray(opened.convert("RGB"), np.float32)
        self.act("")

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


@dataclass(frozen=True, slots=True)
class Student:
    """A student with a phone, a face and a row of the roster."""

    visit: Visit
    actor: Actor
    record: dict[str, str]


def find_record(system: System) -> dict[str, str]:
    """A full-time student of the first school who is of the group for which there are thresholds, also in some months."""
    today = legal_day(datetime.fromtimestamp(system.clients.clock(), UTC))

    def is_of_group(record: dict[str, str]) -> bool:
        number = record["身份证件号"]
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        ages = {age_on(born, today + timedelta(days=days)) for days in (0, 100)}
        return int(number[16]) % 2 == 1 and ages <= {16, 17}

    return next(each for each in system.full_time_students(0) if is_of_group(each))


async def register(page: Page, system: System, record: dict[str, str]) -> None:
    """Register the phone with name, ID number and the code by SMS."""
    await page.goto("/m/")
    await page.get_by_label("姓名").fill(record["姓名"])
    await page.get_by_label("身份证件号").fill(record["身份证件号"])
    earlier = await system.sms_code(record["联系电话"])
    await page.get_by_role("button", name="获取验证码").click()
    await page.get_by_label("短信验证码").fill(await wait_for_code(page, system, record["联系电话"], earlier))
    await page.get_by_role("button", name="确认").click()
    await expect(page.get_by_text("共 5 步")).to_be_visible()


async def wait_for_code(page: Page, system: System, number: str, earlier: str | None = None) -> str:
    """The code by SMS, once the fake gateway has it; another test may have received an earlier one."""
    await expect(page.get_by_label("短信验证码")).to_be_visible()
    while (code := await system.sms_code(number)) in (None, earlier):
        await page.evaluate("new Promise((done) => requestAnimationFrame(done))")
    assert code is not None
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
    """Wait until the page has filmed a dozen new frames: after a change, the camera's older ones are out."""
    await page.locator("video").wait_for()
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
    """Open the check-in from its card, by the first of the two taps."""
    actor.rehearse()
    await visit.context.set_geolocation(actor.stand(north_m))
    await visit.page.goto("/m/")
    await visit.page.get_by_role("region", name=title).get_by_role("button", name="开始核验").click()
    await expect(visit.page.get_by_role("button", name="我准备好了")).to_be_enabled()


async def exclude(page: Page, action: str) -> None:
    """Say that an action is impossible, and get another challenge."""
    await page.get_by_role("button", name="有的动作我做不了").click()
    await page.get_by_role("checkbox", name=action).click()
    async with page.expect_response(lambda answer: answer.url.endswith("/challenges")):
        await page.get_by_role("button", name="重新获取动作").click()
    await expect(page.get_by_role("button", name="我准备好了")).to_be_enabled()


async def perform(visit: Visit, actor: Actor, north_m: float) -> None:
    """Start the burst by the second tap, and follow its words until it is signed."""
    page = visit.page
    await page.get_by_role("button", name="我准备好了").click()
    prompt = page.locator(".prompt .word")
    await expect(prompt.or_(page.get_by_role("heading", name="正在提交"))).to_be_visible()
    while await prompt.count():
        actor.act((await prompt.all_inner_texts() or [""])[0])
        await visit.context.set_geolocation(actor.stand(north_m))
    signed = page.get_by_text("已签名，已保存在本机").or_(page.locator(".result"))
    while not await signed.count():
        await visit.context.set_geolocation(actor.stand(north_m))
