"""What a student asks for and answers: leave, a prompt after two misses, and an appeal, each with the decision of staff."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from backend.demo.staff import expect as succeed
from backend.org.calendar import FIXED_HOLIDAYS
from tests.e2e.conftest import observe
from tests.e2e.pages import PHONE, Visit, visit
from tests.e2e.student_phone import Student, register
from tests.e2e.system import System
from tests.e2e.test_counselor import find_class, find_class_counselor, sign_in

WINDOW_S = 60 * 60
"""The shortest window of a spot check that may count as a miss."""
EARLIER_S = 4 * WINDOW_S
"""Later than the roll calls of other tests, with which a spot check must not overlap."""
TIMEOUT_S = 60
TITLES = ("周一抽查", "周二抽查")


async def test_leave_is_requested_and_approved(student: Student, desktop: Visit, system: System) -> None:
    page = student.visit.page
    await page.goto("/m/leave")
    await page.get_by_role("button", name="请假").click()
    await page.get_by_label("请假事由").fill("回家探望祖母")
    await page.get_by_role("button", name="提交申请").click()
    await expect(page.get_by_text("等待审批")).to_be_visible()

    counselor = find_class_counselor(system.organisation.schools[0], student.record)
    await sign_in(desktop.page, system, counselor)
    await desktop.page.get_by_role("navigation").get_by_role("link", name="待办").click()
    await desktop.page.get_by_role("link", name=student.record["姓名"]).first.click()
    await expect(desktop.page.get_by_text("回家探望祖母")).to_be_visible()
    await desktop.page.get_by_text("批准", exact=True).click()
    await desktop.page.get_by_role("button", name="确认：批准").click()
    await expect(desktop.page.get_by_text("已批准。")).to_be_visible()

    await page.reload()
    await expect(page.get_by_text("已批准")).to_be_visible()


@pytest.fixture(scope="module")
async def prompted_visit(browser: Browser, system: System) -> AsyncIterator[tuple[Visit, dict[str, str]]]:
    """The phone of a student who missed two spot checks, which raised a prompt."""
    record = system.full_time_students(0)[6]
    await load_calendar(system)
    await system.pass_time(EARLIER_S)
    async with visit(browser, system, PHONE) as opened:
        await register(opened.page, system, record)
        for title in TITLES:
            await miss_spot_check(opened.page, system, record, title)
        yield opened, record


@pytest.fixture
async def prompted(
    prompted_visit: tuple[Visit, dict[str, str]], request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Visit, dict[str, str]]]:
    """The same phone, observed during one test."""
    async with observe(prompted_visit[0], request):
        yield prompted_visit


async def load_calendar(system: System) -> None:
    """Load the years that deadlines need."""
    year = datetime.fromtimestamp(system.clients.clock(), UTC).year
    province = system.organisation.province
    known = succeed(await province.get("/v1/calendar-years"))["years"]
    for each in {year, year + 1} - set(known):
        holidays = [f"{each}-{month:02d}-{day:02d}" for month, day in FIXED_HOLIDAYS]
        body = {"year": each, "source": "测试", "holidays": holidays, "makeup_workdays": []}
        succeed(await province.post("/v1/calendar-years", body), 201)


async def miss_spot_check(page: Page, system: System, record: dict[str, str], title: str) -> None:
    """Launch a spot check of the student's class, see its notice, and let it close without a check-in."""
    school = system.organisation.schools[0]
    superior = system.organisation.bureaus[school.plan.parent]
    opens = datetime.fromtimestamp(system.clients.clock(), UTC) + timedelta(seconds=2)
    body = {
        "kind": "spot_check",
        "title": title,
        "opens_at": opens.isoformat(),
        "closes_at": (opens + timedelta(seconds=WINDOW_S)).isoformat(),
        "audience": {"unit_ids": [school.id], "class_ids": [find_class(school, record)["id"]]},
    }
    launched = succeed(await superior.post("/v1/roll-calls", body), 201)

    async with asyncio.timeout(TIMEOUT_S):
        while not await has_notice(page, title):
            pass
    await system.pass_time(WINDOW_S + 5)
    async with asyncio.timeout(TIMEOUT_S):
        while succeed(await superior.get(f"/v1/roll-calls/{launched['id']}"))["phase"] != "settled":
            await wait_for_frame(page)


async def has_notice(page: Page, title: str) -> bool:
    """Whether the newest notice of a roll call, once opened, is about this one."""
    await page.goto("/m/notices")
    heads = page.get_by_role("button", name="学籍核验通知")
    await expect(heads.first.or_(page.get_by_text("没有消息"))).to_be_visible()
    if await heads.count() == 0:
        return False
    await heads.first.click()
    await expect(page.locator(".body")).to_be_visible()
    return title in await page.locator(".body").inner_text()


async def wait_for_frame(page: Page) -> None:
    """Let the page draw once, before something is requested again."""
    await page.evaluate("new Promise((done) => requestAnimationFrame(done))")


async def find_prompt(page: Page, system: System, name: str) -> dict[str, Any]:
    """The prompt about a student, once it was raised and delivered to the school."""
    registrar = system.organisation.schools[0].registrar
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            prompts = await registrar.get_all_pages("/v1/prompts", kind="misses")
            found = [each for each in prompts if each["student_name"] == name]
            succeed(await registrar.get("/v1/notices"))  # reading them is the delivery
            if found and found[0]["state"]["code"] != "undelivered":
                return found[0]
            await wait_for_frame(page)


async def test_prompt_is_explained_and_answered(
    prompted: tuple[Visit, dict[str, str]], desktop: Visit, system: System
) -> None:
    opened, record = prompted
    page = opened.page
    await find_prompt(page, system, record["姓名"])
    await page.goto("/m/me/standing")
    await expect(page.get_by_text(re.compile("连续未核验 [23] 次"))).to_be_visible()
    assert await opened.find_barriers() == []
    await page.locator(".van-cell--clickable").first.click()
    await page.get_by_role("link", name="详细说明").click()
    await expect(page.get_by_role("heading", name="依据条款")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.go_back()
    await page.get_by_label("写下您的陈述").fill("两次抽查时我都在医院，附病历")
    await page.get_by_role("button", name="提交陈述").click()
    await expect(page.get_by_text("陈述已提交。")).to_be_visible()
    await expect(page.get_by_role("button", name="提交陈述")).to_be_visible()  # no longer loading
    assert await opened.find_barriers() == []

    counselor = find_class_counselor(system.organisation.schools[0], record)
    await sign_in(desktop.page, system, counselor)
    await desktop.page.get_by_role("navigation").get_by_role("link", name="待办").click()
    await desktop.page.get_by_role("link", name=record["姓名"]).first.click()
    await expect(desktop.page.get_by_text("两次抽查时我都在医院，附病历")).to_be_visible()


async def test_appeal_is_filed_discussed_and_decided(
    prompted: tuple[Visit, dict[str, str]], system: System
) -> None:
    opened, _ = prompted
    page = opened.page
    await page.goto("/m/history")
    await page.get_by_text(TITLES[1]).click()
    await expect(page.get_by_text("未按时核验", exact=True)).to_be_visible()
    await page.get_by_role("button", name="对结果提出申诉").click()
    await page.get_by_label("申诉理由").fill("当天在医院住院")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="提交申诉").click()
    await expect(page.get_by_text("审理中")).to_be_visible()

    province = system.organisation.province
    [appeal] = await province.get_all_pages("/v1/appeals", state="open")
    path = f"/v1/appeals/{appeal['id']}"
    succeed(await province.post(f"{path}/messages", {"text": "请补充住院日期"}), 201)
    await page.reload()
    await expect(page.get_by_text("请补充住院日期")).to_be_visible()
    await page.get_by_label("写消息").fill("周一至周三")
    await page.get_by_role("button", name="发送").click()
    await expect(page.get_by_text("周一至周三")).to_be_visible()
    await expect(page.get_by_role("button", name="发送")).to_be_visible()  # no longer loading
    assert await opened.find_barriers() == []
    messages = await province.get_all_pages(f"{path}/messages")
    assert messages[-1]["text"] == "周一至周三"

    decision = {"upheld": True, "finding": "excused", "reasons": "住院属实，当天免于核验"}
    succeed(await province.post(f"{path}/decision", decision), 201)
    await page.reload()
    await expect(page.get_by_role("status").get_by_text("申诉成立")).to_be_visible()
    await expect(page.get_by_text("住院属实，当天免于核验")).to_be_visible()
