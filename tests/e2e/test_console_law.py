"""The law in the console: what is in force by place and day, the clause report, and the simulator."""

from pathlib import Path

import pytest
from playwright.async_api import Page, ViewportSize, expect

from backend.law_cases.runner import run_file
from backend.policy import load_policies
from tests.e2e.console import opened, seeded, sign_in
from tests.e2e.pages import Visit
from tests.e2e.pictures import keep_picture
from tests.e2e.seeded import Seeded

__all__ = ["opened", "seeded"]

NARROW = ViewportSize(width=390, height=844)


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    width: int = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width


async def test_law_in_force_is_found_by_place_and_day(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("bureau"))
    await page.get_by_role("link", name="法规").click()
    await expect(page.get_by_role("heading", level=1, name="现行政策")).to_be_visible()
    await expect(page.get_by_text("› 河南 › 全国")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("searchbox").fill("国家助学金")
    await page.keyboard.press("Enter")
    await page.get_by_label("日期").fill("2024-09-01")
    await page.get_by_role("button", name="查看").click()
    row = page.get_by_role("row").filter(has=page.locator("a.row-link")).first
    await expect(row.get_by_text("共 2 个取值")).to_be_visible()
    await expect(row.get_by_text("200000 分")).to_be_visible()
    await row.locator("a.row-link").click()
    await expect(page.get_by_role("heading", level=2, name="沿革")).to_be_visible()
    await expect(page.get_by_text("适用")).to_have_count(1)
    assert await opened.find_barriers() == []

    await page.goto("/console/law/policy?parameter=misses.consecutive&place=140900")
    await expect(page.get_by_text("absent_law")).to_be_visible()
    await page.goto("/console/law?place=140900")
    await page.get_by_role("link", name="项没有规定").click()
    await expect(page.get_by_role("heading", level=2, name="没有规定的")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.set_viewport_size(NARROW)
    assert await overflow(page) == 0


async def test_clauses_are_filtered_and_lead_to_their_policies(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("province"))
    await page.goto("/console/law/clauses?q=HN334-4.1b")
    details = page.locator("details").first
    await details.locator("summary").click()
    await expect(details.get_by_text("tests/law/HN334/misses.yaml").first).to_be_visible()
    assert await opened.find_barriers() == []
    await details.get_by_role("link", name="misses.consecutive").click()
    await expect(page.get_by_role("heading", level=2, name="沿革")).to_be_visible()
    await page.go_back()
    await page.get_by_label("状态").select_option("planned")
    await expect(page.get_by_text("没有符合条件的")).to_be_visible()
    await page.set_viewport_size(NARROW)
    assert await overflow(page) == 0


def is_same_file(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


@pytest.mark.pictures
async def test_facts_are_evaluated_explained_and_saved(opened: Visit, seeded: Seeded, tmp_path: Path) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("registrar"))
    await page.goto("/console/law/simulator")
    await page.get_by_label("载入示例").select_option("appeal")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="推演").click()
    before, after = page.get_by_role("article").first, page.get_by_role("article").last
    await expect(before.get_by_text("在读 · 非全日制")).to_be_visible()
    await expect(after.get_by_text("在读 · 全日制")).to_be_visible()
    await expect(before.get_by_text("待发 0.00，已发 230.00，撤回 920.00")).to_be_visible()
    await keep_picture(page, "console-simulator-1280", most_height=2400)
    await before.get_by_text("项数值").first.click()
    await expect(before.get_by_text("连续未按时核验的上限").first).to_be_visible()
    assert await opened.find_barriers() == []

    async with page.expect_download() as saved:
        await page.get_by_role("button", name="下载案例文件").click()
    path = tmp_path / "case.yaml"
    await (await saved.value).save_as(path)
    [result] = run_file(path, load_policies())
    assert result.passed, result.differences

    # The file opens again as the same case.
    await page.get_by_role("button", name="清空").click()
    await expect(page.get_by_role("group", name="点名 c2")).to_have_count(0)
    await page.get_by_label("打开案例文件（YAML）").set_input_files(path)
    await expect(page.get_by_role("group", name="点名 c2")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="推演").click()
    async with page.expect_download() as again:
        await page.get_by_role("button", name="下载案例文件").click()
    await (await again.value).save_as(tmp_path / "again.yaml")
    assert is_same_file(tmp_path / "again.yaml", path)
    await page.get_by_label("打开案例文件（YAML）").set_input_files(
        {"name": "bad.yaml", "mimeType": "application/yaml", "buffer": b"cases: [{name: x"}
    )
    await expect(page.get_by_text("bad.yaml").first).to_be_visible()
    await expect(page.get_by_role("group", name="点名 c2")).to_be_visible()

    # Without the second miss there is no prompt: the refusal stands at the fact, and nothing typed is lost.
    await page.get_by_role("group", name="点名 c2").get_by_role("button", name="删除").click()
    await page.get_by_role("button", name="推演").click()
    await expect(page.get_by_role("group", name="提示送达学校").get_by_text("没有“misses”")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("案例名称")).to_have_value("自动执行后申诉成立，资助恢复")
    for kind in ("提示送达学校", "申诉"):
        await page.get_by_role("group", name=kind).get_by_role("button", name="删除").click()
    await page.get_by_label("对比地区").fill("140900")
    await page.get_by_role("button", name="推演").click()
    await expect(page.get_by_text("absent_law")).to_be_visible()
    await expect(page.get_by_role("article")).to_have_count(2)
    await page.set_viewport_size(NARROW)
    assert await overflow(page) == 0
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", level=1, name="Simulator")).to_be_visible()
    assert await opened.find_barriers() == []
    assert await overflow(page) == 0
