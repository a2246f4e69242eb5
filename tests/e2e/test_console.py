"""The console: sign-in, a launch in four steps, and the live board."""

import re

import pytest
from playwright.async_api import Page, expect

from backend.demo.staff import TOTP_SECONDS, StaffClient
from tests.e2e.pages import Visit
from tests.e2e.pictures import keep_picture
from tests.e2e.system import STUDENTS, System

CONSOLE = "/console/"


async def sign_in(page: Page, system: System, staff: StaffClient) -> None:
    """Sign in with a code that neither the API client nor an earlier test has used."""
    system.advance_clock(TOTP_SECONDS)
    await page.goto(CONSOLE)
    await page.get_by_label("账号").fill(staff.credentials.login)
    await page.get_by_label("密码").fill(staff.credentials.password)
    await page.get_by_label("动态码").fill(staff.totp(steps_ago=-1))
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.get_by_role("heading", level=1, name="工作台")).to_be_visible()


async def go_on(page: Page, heading: str) -> None:
    await page.get_by_role("button", name="下一步").click()
    await expect(page.get_by_role("heading", level=2, name=heading)).to_be_visible()


@pytest.mark.pictures
async def test_province_launches_and_watches(desktop: Visit, system: System) -> None:
    page, province = desktop.page, system.organisation.province
    await page.goto(CONSOLE)
    assert await desktop.find_barriers() == []
    await sign_in(page, system, province)
    assert await desktop.find_barriers() == []
    await page.get_by_role("link", name="发起点名").first.click()
    await expect(page.get_by_label("抽查核验")).to_be_checked()
    await page.get_by_label("名称", exact=True).fill("全省抽查")
    await page.get_by_role("button", name="10 分钟后开始").click()
    assert await desktop.find_barriers() == []
    await go_on(page, "范围")
    assert await desktop.find_barriers() == []
    await keep_picture(page, "console-launch-scope-1280")
    await go_on(page, "预览")
    await expect(page.get_by_text("可以发起。")).to_be_visible()
    await keep_picture(page, "console-launch-preview-1280")
    assert await desktop.find_barriers() == []
    await go_on(page, "确认")
    await expect(
        page.get_by_text(re.compile(rf"3 所学校，(?:[1-9]|[1-{STUDENTS // 10}]\d) 名学生"))
    ).to_be_visible()
    assert await desktop.find_barriers() == []
    await page.get_by_role("button", name="发起", exact=True).click()

    await expect(page.get_by_role("heading", level=1, name="全省抽查")).to_be_visible()
    await expect(page.get_by_role("link", name="郑州")).to_be_visible()
    assert await desktop.find_barriers() == []
    on_map = page.get_by_role("button", name=re.compile("^郑州：完成 0%"))
    await expect(on_map).to_have_text("0%")
    await on_map.click()
    await expect(page.get_by_role("heading", level=2, name="郑州")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", level=2, name="河南")).to_be_visible()
    for tab in ("未完成名单", "结果", "队列与送达"):
        await page.get_by_role("tab", name=tab).click()
        await expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
        assert await desktop.find_barriers() == []
    await page.get_by_role("tab", name="未完成名单").click()
    async with page.expect_download() as saved:
        await page.get_by_role("button", name="下载表格").click()
    assert (await saved.value).suggested_filename == "未完成名单.xlsx"
    await page.get_by_role("link", name="大屏").click()
    await expect(page.get_by_text("应核验")).to_be_visible()
    assert await desktop.find_barriers() == []


async def test_typed_launch_survives_a_reload(desktop: Visit, system: System) -> None:
    page = desktop.page
    await sign_in(page, system, system.organisation.province)
    await page.goto(f"{CONSOLE}roll-calls/launch")
    await page.get_by_label("名称", exact=True).fill("还没写完")
    await page.reload()
    await expect(page.get_by_label("名称", exact=True)).to_have_value("还没写完")


async def test_problem_of_a_launch_is_shown_before_the_button(desktop: Visit, system: System) -> None:
    page = desktop.page
    await sign_in(page, system, system.organisation.province)
    await page.goto(f"{CONSOLE}roll-calls/launch")
    await page.get_by_label("名称", exact=True).fill("太晚")
    await page.get_by_role("button", name="10 分钟后开始").click()
    opens = await page.get_by_label("开始时间").input_value()
    await page.get_by_label("截止时间").fill(opens)
    await go_on(page, "范围")
    await go_on(page, "预览")
    await expect(page.get_by_text("按现在的设定不能发起：")).to_be_visible()
    await expect(page.get_by_role("button", name="下一步")).to_be_disabled()


async def test_counselor_is_led_to_the_own_page(desktop: Visit, system: System) -> None:
    counselor = next(iter(system.organisation.schools[0].counselors.values()))
    page = desktop.page
    system.advance_clock(TOTP_SECONDS)
    await page.goto(CONSOLE)
    await page.get_by_label("账号").fill(counselor.credentials.login)
    await page.get_by_label("密码").fill(counselor.credentials.password)
    await page.get_by_label("动态码").fill(counselor.totp(steps_ago=-1))
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.get_by_role("link", name="打开辅导员端")).to_be_visible()
    assert await desktop.find_barriers() == []
