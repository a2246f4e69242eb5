"""The whole story over the three front ends: roster and site, a launch, check-ins, a prompt, its decision, aid, an appeal."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from backend.demo.staff import StaffClient
from backend.demo.staff import expect as succeed
from backend.demo.students import DemoStudent
from tests.e2e import test_counselor
from tests.e2e.bound_phone import install_key
from tests.e2e.camera import FakeCamera
from tests.e2e.pages import DESKTOP, PHONE, Visit, visit
from tests.e2e.story_cast import FACES, Cast, gather_cast, grant_aid, write_new_class
from tests.e2e.student_phone import Actor, begin, perform
from tests.e2e.system import System
from tests.e2e.test_console import go_on
from tests.e2e.test_console import sign_in as sign_in_to_console
from tests.e2e.test_console_sites import draw
from tests.e2e.test_rights import (
    EARLIER_S,
    TIMEOUT_S,
    WINDOW_S,
    has_notice,
    load_calendar,
    miss_spot_check,
    wait_for_frame,
)

SITE = "故事校区"
MIDDLE = "113.5372, 34.8200"
CHECK = "故事抽查"
PAUSE_S = 11 * 60
"""Past the ten minutes after which a quick window of the wizard opens."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The pages of one test. Each person has a browser of their own."""

    browser: Browser
    system: System
    stack: AsyncExitStack
    visits: list[Visit]

    async def open(self, device: dict[str, Any]) -> Visit:
        """A page on a new device, which is closed after the test."""
        opened = await self.stack.enter_async_context(visit(self.browser, self.system, device))
        self.visits.append(opened)
        return opened

    async def console(self, staff: StaffClient) -> Page:
        """The console of an account that has just signed in."""
        page = (await self.open(DESKTOP)).page
        await sign_in_to_console(page, self.system, staff)
        return page

    async def phone_of(self, student: DemoStudent) -> Visit:
        """The app on the phone that the student bound."""
        opened = await self.open(PHONE)
        await install_key(opened.page, student.phone)
        return opened


@pytest.fixture
async def stage(browser: Browser, system: System) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        opened = Stage(browser, system, stack, [])
        yield opened
        assert [problem for each in opened.visits for problem in each.problems] == []


@pytest.mark.timeout(600)  # a busy machine is no failure
async def test_from_the_roster_to_an_upheld_appeal(
    stage: Stage, system: System, camera: FakeCamera, tmp_path: Path
) -> None:
    school = system.organisation.schools[0]
    await load_calendar(system)
    await system.pass_time(EARLIER_S)
    roster, records = write_new_class(system, school, tmp_path)
    registrar = await stage.console(school.registrar)
    bureau = await stage.console(system.organisation.bureaus[school.plan.parent])
    await import_roster(registrar, roster, len(records))
    await file_and_approve_site(registrar, bureau)

    cast = await gather_cast(system, school, records)
    away = await stage.phone_of(cast.absent)
    await miss_spot_check(away.page, system, cast.absent.record, "上一次抽查")
    await grant_aid(cast)
    roll_call = await launch_in_the_wizard(bureau, cast)
    await read_notice(away.page)
    await system.pass_time(PAUSE_S)
    await check_in_and_attest(stage, cast, roll_call, camera)
    await bureau.goto(f"/console/roll-calls/{roll_call}")
    await expect(bureau.get_by_role("heading", level=1, name=CHECK)).to_be_visible()

    await system.pass_time(WINDOW_S + 60)
    await wait_for_phase(bureau, cast.superior, roll_call, "settled")
    await decide_prompt(registrar, cast)
    await expect_aid(away.page, registrar, cast, AidMove("withdrawal", "停发", is_withdrawn=True))
    await appeal_against_the_change(away.page)
    await uphold_appeal(await stage.console(system.organisation.province), cast)
    await expect_everything_restored(stage, registrar, away.page, cast)


async def import_roster(page: Page, roster: Path, students: int) -> None:
    await page.get_by_role("link", name="导入花名册").click()
    await page.get_by_label("花名册文件").set_input_files(roster)
    await page.get_by_role("button", name="检查").click()
    await expect(page.get_by_text("没有发现错误，可以导入。")).to_be_visible()
    await page.get_by_role("button", name="导入", exact=True).click()
    await expect(page.get_by_text(f"已导入：新增 {students}")).to_be_visible()


async def file_and_approve_site(registrar: Page, bureau: Page) -> None:
    """The registrar draws a site on the map, and the superior approves it."""
    await registrar.goto("/console/sites/new")
    await registrar.get_by_label("名称", exact=True).fill(SITE)
    await registrar.get_by_label("地址", exact=True).fill("故事路1号")
    await registrar.get_by_label("地图移到").fill(MIDDLE)
    await registrar.get_by_role("button", name="移到", exact=True).click()
    await registrar.get_by_role("button", name="绘制多边形").click()
    await draw(registrar, [(300, 120), (500, 120), (500, 260), (300, 260)])
    await expect(registrar.get_by_text("已画 1 块，0 个洞，4 个顶点。")).to_be_visible()
    await registrar.get_by_role("button", name="提交备案").click()
    await expect(registrar.get_by_role("heading", name="第 1 版，待审核")).to_be_visible()
    await bureau.goto(registrar.url)
    await bureau.get_by_label("批准", exact=True).check()
    await bureau.get_by_role("button", name="提交审核结论").click()
    await expect(bureau.get_by_role("heading", name="第 1 版，已批准 (现行有效)")).to_be_visible()


async def launch_in_the_wizard(page: Page, cast: Cast) -> str:
    """Launch a spot check of all schools of the bureau, wait until it is announced, and return its id."""
    await page.goto("/console/roll-calls/launch")
    await page.get_by_label("抽查核验").check()
    await page.get_by_label("名称", exact=True).fill(CHECK)
    await page.get_by_role("button", name="10 分钟后开始").first.click()
    await go_on(page, "范围")
    await go_on(page, "预览")
    await expect(page.get_by_text("可以发起。")).to_be_visible()
    await go_on(page, "确认")
    await page.get_by_role("button", name="发起", exact=True).click()
    await expect(page.get_by_role("heading", level=1, name=CHECK)).to_be_visible()
    roll_call = page.url.rpartition("/")[2].partition("?")[0]
    await wait_for_phase(page, cast.superior, roll_call, "announced")
    return roll_call


async def read_notice(page: Page) -> None:
    """The student who stays away has read the notice: without its receipt there is no sanction."""
    async with asyncio.timeout(TIMEOUT_S):
        while not await has_notice(page, CHECK):
            pass


async def wait_for_phase(page: Page, staff: StaffClient, roll_call: str, phase: str) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while succeed(await staff.get(f"/v1/roll-calls/{roll_call}"))["phase"] != phase:
            await wait_for_frame(page)


async def check_in_and_attest(stage: Stage, cast: Cast, roll_call: str, camera: FakeCamera) -> None:
    """Two students show their faces while the counselor watches; the counselor attests the third."""
    watching = await stage.open(PHONE)
    await test_counselor.sign_in(watching.page, stage.system, cast.counselor)
    await watching.page.goto(f"/c/roll-calls/{roll_call}")
    await expect(watching.page.get_by_text("实时更新")).to_be_visible()
    for student, person in zip(cast.with_faces, FACES, strict=True):
        attest = watching.page.get_by_role("link", name=f"为{student.name}现场核验", exact=True)
        await expect(attest).to_be_visible()
        phone, actor = await stage.phone_of(student), Actor(camera, person, seed=11)
        await begin(phone, actor, CHECK, north_m=0)
        await perform(phone, actor, north_m=0)
        await expect(phone.page.get_by_role("heading", name="核验通过")).to_be_visible()
        await expect(attest).to_have_count(0)
        await phone.page.close()

    student = cast.without_camera
    phone = await stage.phone_of(student)
    path = f"/v1/students/{student.student_id}/card-code"
    code = succeed(await cast.school.registrar.post(path), 201)["code"]
    await watching.page.get_by_role("link", name=f"为{student.name}现场核验", exact=True).click()
    await expect(watching.page.get_by_text("您的位置已取得")).to_be_visible()
    await watching.page.get_by_label("学生卡核验码").fill(code)
    await watching.page.get_by_text("摄像头损坏").click()
    await watching.page.get_by_role("button", name=f"确认{student.name}本人在场").click()
    await expect(watching.page.get_by_role("heading", name="已确认在场")).to_be_visible()
    await phone.page.goto("/m/")
    card = phone.page.get_by_role("region", name=CHECK)
    await expect(card.get_by_text("已通过", exact=True)).to_be_visible()


async def decide_prompt(page: Page, cast: Cast) -> None:
    """The registrar reads the prompt, sees what each outcome does, and confirms the proposal."""
    registrar = cast.school.registrar
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            prompts = await registrar.get_all_pages("/v1/prompts", kind="misses")
            own = [each for each in prompts if each["student_id"] == cast.absent.student_id]
            succeed(await registrar.get("/v1/notices"))  # reading them is the delivery
            if own and own[0]["state"]["code"] != "undelivered":
                break
            await wait_for_frame(page)
    preview = succeed(await registrar.get(f"/v1/prompts/{own[0]['id']}/preview"))
    proposed = next(each for each in preview["outcomes"] if each["proposed"])
    await page.goto(f"/console/prompts/{own[0]['id']}")
    await expect(page.get_by_text(f"将：{proposed['summary_zh']}")).to_be_visible()
    assert "撤回国家助学金" in proposed["summary_zh"]
    await page.get_by_role("radio", name=proposed["outcome"]["zh"]).check()
    await page.get_by_label("理由").fill("已逐项核实，两次均未到")
    await page.get_by_role("button", name="提交决定").click()
    await expect(page.get_by_role("button", name="提交决定")).to_have_count(0)


@dataclass(frozen=True, slots=True)
class AidMove:
    """A withdrawal or a reinstatement: its kind in the API, and its word on the phone."""

    kind: str
    word: str
    is_withdrawn: bool


async def expect_aid(phone: Page, registrar: Page, cast: Cast, move: AidMove) -> None:
    """Wait for the ledger of aid; the student and the registrar see what moved."""
    path = f"/v1/students/{cast.absent.student_id}/aid"
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            balances = succeed(await cast.school.registrar.get(path))["balances"]
            if (balances["withdrawn"] > 0) == move.is_withdrawn:
                break
            await wait_for_frame(phone)
    assert (balances["due"] == 0) == move.is_withdrawn
    await phone.goto("/m/me/aid")
    await expect(phone.get_by_text(move.word).first).to_be_visible()
    await registrar.goto(f"/console/aid/withdrawals?kind={move.kind}")
    await expect(registrar.get_by_role("link", name=cast.absent.name)).to_be_visible()


async def appeal_against_the_change(page: Page) -> None:
    await page.goto("/m/me/standing")
    await expect(page.get_by_text("学籍状态：在读 · 非全日制")).to_be_visible()
    await page.get_by_role("button", name="→ 在读 · 非全日制").click()
    await page.get_by_text("对这次变动申诉").click()
    await page.get_by_label("申诉理由").fill("两次都在医院住院，附证明")
    await page.get_by_role("button", name="提交申诉").click()
    await expect(page.get_by_text("审理中")).to_be_visible()


async def uphold_appeal(page: Page, cast: Cast) -> None:
    await page.get_by_role("link", name="申诉").first.click()
    await page.get_by_role("link", name=cast.absent.name).click()
    await expect(page.get_by_text("两次都在医院住院，附证明")).to_be_visible()
    await page.get_by_role("radio", name="成立").first.check()
    await page.get_by_label("理由").fill("住院属实，恢复原学籍")
    await page.get_by_role("button", name="提交决定").click()
    await expect(page.get_by_text("住院属实，恢复原学籍").first).to_be_visible()


async def expect_everything_restored(stage: Stage, registrar: Page, phone: Page, cast: Cast) -> None:
    """Standing and aid are as before for the student, the registrar and the counselor."""
    await expect_aid(phone, registrar, cast, AidMove("reinstatement", "恢复 ¥", is_withdrawn=False))
    await phone.goto("/m/me/standing")
    await expect(phone.get_by_text("学籍状态：在读 · 全日制")).to_be_visible()
    await registrar.goto(f"/console/students/{cast.absent.student_id}")
    await expect(registrar.locator("dd", has_text=re.compile("^全日制$"))).to_be_visible()
    await expect(registrar.get_by_text(re.compile("成立")).first).to_be_visible()
    counselor = (await stage.open(PHONE)).page
    await test_counselor.sign_in(counselor, stage.system, cast.counselor)
    await counselor.goto(f"/c/students/{cast.absent.student_id}")
    standing = counselor.get_by_role("region", name="学籍", exact=True)
    await expect(standing).to_contain_text("在读 · 全日制")
    await expect(standing).to_contain_text("已恢复原状")
