"""Positions on the pages of prompts and appeals: hidden until asked for, on a map without a base map, each look recorded."""

import os
from pathlib import Path

from playwright.async_api import FilePayload, Page, expect

from tests.e2e.console import opened, sign_in
from tests.e2e.pages import Visit
from tests.e2e.seeded import Seeded
from tests.support.identity.staff_user import StaffUser

__all__ = ["opened"]


async def count_looks(staffer: StaffUser, student_id: object) -> int:
    page = (await staffer.get(f"/v1/students/{student_id}/picture-views", limit=200)).json()
    return sum(each["kind"] == "positions" for each in page["items"])


async def show_positions(page: Page) -> None:
    await page.get_by_role("button", name="查看定位点（留痕）").last.click()
    await expect(page.get_by_text("已记录您的查看")).to_be_visible()
    await expect(page.locator("path.fix")).to_have_count(3)
    await expect(page.locator("path.fix-accuracy")).to_have_count(3)
    await expect(page.locator("path.outline-new").first).to_be_attached()


async def test_registrar_opens_the_positions_of_a_prompt(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    await sign_in(page, registrar)
    prompt = seeded.record("colleague_prompt")
    student = (await registrar.get(f"/v1/prompts/{prompt}")).json()["student_id"]
    before = await count_looks(registrar, student)
    await page.goto(f"/console/prompts/{prompt}")
    await expect(page.get_by_role("button", name="查看定位点（留痕）")).to_have_count(2)
    await expect(page.locator("path.fix")).to_have_count(0)
    assert await opened.find_barriers() == []
    assert await count_looks(registrar, student) == before
    # The first roll call of the prompt has no check-in, and says so.
    await page.get_by_role("button", name="查看定位点（留痕）").first.click()
    await expect(page.get_by_text("没有提交过签到，没有定位点")).to_be_visible()
    await show_positions(page)
    await expect(page.get_by_text("系统内部错误")).to_have_count(0)
    await expect(page.get_by_text("在范围外")).to_be_visible()
    await expect(page.get_by_role("cell", name="±12 m")).to_be_visible()
    assert await opened.find_barriers() == []
    assert await count_looks(registrar, student) == before + 1
    await take_picture(page, "positions")
    await page.get_by_role("button", name="收起").click()
    await expect(page.locator("path.fix")).to_have_count(0)
    await page.emulate_media(media="print")
    await expect(page.get_by_role("button", name="查看定位点（留痕）").first).to_be_hidden()


async def test_only_the_deciding_unit_is_offered_the_positions_of_an_appeal(
    opened: Visit, seeded: Seeded
) -> None:
    page, province = opened.page, seeded.staffer("province")
    await sign_in(page, province)
    await page.goto(f"/console/appeals/{seeded.record('own_appeal')}")
    await show_positions(page)
    assert await opened.find_barriers() == []
    await page.goto(f"/console/prompts/{seeded.record('colleague_prompt')}")
    await expect(page.get_by_role("region", name="逐次核验的经过")).to_be_visible()
    await expect(page.get_by_role("button", name="查看定位点（留痕）")).to_have_count(0)


async def take_picture(page: Page, name: str) -> None:
    """Save pictures of the page in both widths to the folder of `DIANMING_PICTURES`, if it is set."""
    folder = os.environ.get("DIANMING_PICTURES")
    if folder is None:
        return
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)


PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


async def test_school_adds_a_file_to_its_change_and_the_bureau_opens_it(
    opened: Visit, seeded: Seeded
) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("registrar"))
    path = f"/console/changes/{seeded.record('spare_change_request')}"
    await page.goto(path)
    field = page.get_by_label("添加附件（JPEG、PNG 或 PDF）", exact=True)
    await field.set_input_files(FilePayload(name="病历.pdf", mimeType="application/pdf", buffer=PDF))
    await expect(page.get_by_text("病历.pdf", exact=True)).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="提交补充材料").click()
    await expect(page.get_by_role("button", name="查看附件 1")).to_be_visible()
    await take_picture(page, "change-files")
    await page.get_by_role("button", name="退出登录").click()
    await sign_in(page, seeded.staffer("bureau"))
    await page.goto(path)
    await page.get_by_role("button", name="查看附件 1").click()
    await expect(page.get_by_role("link", name="保存附件 1")).to_be_visible()
    await expect(page.get_by_label("添加附件（JPEG、PNG 或 PDF）", exact=True)).to_have_count(0)


async def test_province_sends_a_file_in_an_appeal(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("province"))
    await page.goto(f"/console/appeals/{seeded.record('own_appeal')}")
    await page.get_by_label("回复", exact=True).fill("请核对附件中的考勤表。")
    field = page.get_by_label("添加附件（JPEG、PNG 或 PDF）", exact=True)
    await field.set_input_files(FilePayload(name="考勤表.pdf", mimeType="application/pdf", buffer=PDF))
    await expect(page.get_by_text("考勤表.pdf", exact=True)).to_be_visible()
    await page.get_by_role("button", name="发送", exact=True).click()
    sent = page.locator("li.unit").last
    await expect(sent.get_by_text("请核对附件中的考勤表。")).to_be_visible()
    await sent.get_by_role("button", name="查看附件 1").click()
    await expect(sent.get_by_role("link", name="保存附件 1")).to_be_visible()
