"""Prompts, changes of standing and appeals in the console, decided one by one with the effect in view."""

from playwright.async_api import expect

from tests.e2e.console import opened, seeded, sign_in
from tests.e2e.pages import Visit
from tests.e2e.seeded import Seeded

__all__ = ["opened", "seeded", "sign_in"]


# The decided prompt below locks the record of the same student, so the change comes first.
async def test_superior_agrees_to_a_change_of_standing(opened: Visit, seeded: Seeded) -> None:
    page, bureau = opened.page, seeded.staffer("bureau")
    await sign_in(page, bureau)
    await page.goto("/console/changes?view=all")
    await expect(page.locator("a.row-link").first).to_be_visible()
    assert await opened.find_barriers() == []
    request = seeded.record("change_request")
    await page.goto(f"/console/changes/{request}")
    await expect(page.get_by_role("button", name="不同意")).to_be_disabled()
    await page.get_by_label("意见").fill("情况属实，同意")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="同意", exact=True).click()
    await expect(page.get_by_role("heading", level=2, name="已批准")).to_be_visible()
    assert (await bureau.get(f"/v1/change-requests/{request}")).json()["state"] == "agreed"


async def test_registrar_decides_a_prompt_with_its_effect_in_view(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    path = f"/v1/prompts/{seeded.record('received_prompt')}"
    preview = (await registrar.get(f"{path}/preview")).json()
    said = next(each for each in preview["outcomes"] if each["proposed"])
    await sign_in(page, registrar)
    await page.get_by_role("link", name="学籍提示").first.click()
    await expect(page.get_by_role("heading", level=1, name="学籍提示")).to_be_visible()
    await expect(page.locator("a.row-link").first).to_be_visible()
    assert await opened.find_barriers() == []
    await page.goto(f"/console/prompts/{seeded.record('received_prompt')}")
    await expect(page.get_by_text(f"将：{said['summary_zh']}")).to_be_visible()
    await expect(page.get_by_role("heading", name="说明与依据")).to_be_visible()
    submit = page.get_by_role("button", name="提交决定")
    await expect(submit).to_be_disabled()
    await page.get_by_role("radio", name=said["outcome"]["zh"]).check()
    await page.get_by_label("理由").fill("已逐项核实，情况属实")
    assert await opened.find_barriers() == []
    await submit.click()
    await expect(page.get_by_text("已逐项核实，情况属实").first).to_be_visible()
    await expect(submit).to_have_count(0)
    decided = (await registrar.get(path)).json()
    assert decided["state"]["code"] == "decided"
    assert decided["changes"][-1]["after"] == said["after"]


async def test_board_shows_the_curve_and_its_numbers(opened: Visit, seeded: Seeded) -> None:
    page, roll_call = opened.page, seeded.record("roll_call")
    await sign_in(page, seeded.staffer("bureau"))
    await page.goto(f"/console/roll-calls/{roll_call}")
    await expect(page.locator(".chart svg path").first).to_be_attached()
    await page.get_by_text("以表格显示").click()
    numbers = page.get_by_role("table", name="完成曲线")
    totals = (await seeded.staffer("bureau").get(f"/v1/roll-calls/{roll_call}/progress/curve")).json()
    last = totals["points"][-1]
    done = sum(last[name] for name in ("present", "missed", "excused", "undetermined"))
    await expect(numbers.locator("tbody tr").last.locator("td").nth(1)).to_have_text(str(done))
    assert await opened.find_barriers() == []
    await page.get_by_role("tab", name="队列与送达").click()
    await expect(page.get_by_role("table", name="通知送达")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("link", name="大屏").click()
    await expect(page.locator(".chart svg path").first).to_be_attached()
    assert await opened.find_barriers() == []


async def test_rows_are_worked_through_by_keyboard(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("bureau"))
    await page.goto("/console/prompts?view=all")
    links = page.locator("a.row-link")
    await expect(links.nth(1)).to_be_visible()
    await links.first.focus()
    await page.keyboard.press("j")
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(links.first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="依据", exact=True)).to_be_visible()
    await page.go_back()
    await expect(page).to_have_url(f"{seeded.url}/console/prompts?view=all")


async def test_province_answers_and_decides_an_appeal(opened: Visit, seeded: Seeded) -> None:
    page, province = opened.page, seeded.staffer("province")
    appeal = seeded.record("school_appeal")
    await sign_in(page, province)
    await page.goto("/console/appeals")
    await expect(page.locator("a.row-link").first).to_be_visible()
    assert await opened.find_barriers() == []
    await page.goto(f"/console/appeals/{appeal}")
    await page.get_by_label("回复").fill("请补充考勤记录。")
    await page.get_by_role("button", name="发送").click()
    await expect(page.get_by_role("listitem").filter(has_text="请补充考勤记录。")).to_be_visible()
    await page.get_by_role("radio", name="驳回").check()
    await page.get_by_label("理由").fill("考勤记录与申诉不符。")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="提交决定").click()
    await expect(page.get_by_text("考勤记录与申诉不符。")).to_be_visible()
    assert (await province.get(f"/v1/appeals/{appeal}")).json()["state"] == "rejected"
