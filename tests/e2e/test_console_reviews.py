"""Claims, outages, pictures, results and rehearsal readiness in the console: opened one by one, with a reason."""

import re

from playwright.async_api import Page, expect

from tests.e2e.console import opened, seeded, sign_in
from tests.e2e.pages import Visit
from tests.e2e.seeded import Seeded

__all__ = ["opened", "seeded"]


async def open_list(page: Page, path: str) -> None:
    await page.goto(f"/console/{path}")
    await expect(page.locator("a.row-link").first).to_be_visible()


async def test_superior_decides_a_claim_and_an_outage(opened: Visit, seeded: Seeded) -> None:
    page, bureau = opened.page, seeded.staffer("bureau")
    await sign_in(page, bureau)
    await open_list(page, "claims?state=all")
    assert await opened.find_barriers() == []
    claim = seeded.record("claim")
    await page.goto(f"/console/claims/{claim}")
    await expect(page.get_by_role("heading", name="核验经过")).to_be_visible()
    await expect(page.get_by_role("button", name="认可", exact=True)).to_be_disabled()
    await page.get_by_label("意见").fill("维修单属实，予以认可")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="认可", exact=True).click()
    await expect(page.get_by_text("维修单属实，予以认可").first).to_be_visible()
    assert (await bureau.get(f"/v1/reason-claims/{claim}")).json()["state"] == "accepted"

    await open_list(page, "outages")
    await page.get_by_role("button", name="申报中断").click()
    assert await opened.find_barriers() == []
    outage = seeded.record("outage")
    await page.goto(f"/console/outages/{outage}")
    await page.get_by_label("意见").fill("运营商通报属实")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="批准", exact=True).click()
    await expect(page.get_by_role("heading", level=2, name="已批准")).to_be_visible()
    assert (await bureau.get(f"/v1/outages/{outage}")).json()["state"] == "approved"


async def test_picture_is_covered_until_asked_for_and_the_look_recorded(
    opened: Visit, seeded: Seeded
) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    await sign_in(page, registrar)
    await open_list(page, "looks")
    assert await opened.find_barriers() == []
    await page.goto(f"/console/looks/{seeded.record('look')}")
    await expect(page.get_by_text("请先查看全部照片")).to_be_visible()
    await expect(page.get_by_role("img", name="证件照")).to_have_count(0)
    views = f"/v1/students/{seeded.record('student')}/picture-views"
    before = len((await registrar.get(views)).json()["items"])
    await page.get_by_role("button", name="点按查看证件照").click()
    await expect(page.get_by_role("img", name="证件照")).to_be_visible()
    await expect(page.get_by_text("已记录您的查看")).to_be_visible()
    assert await opened.find_barriers() == []
    assert len((await registrar.get(views)).json()["items"]) == before + 1
    await page.get_by_role("button", name="遮住").click()
    await expect(page.get_by_role("img", name="证件照")).to_have_count(0)
    await expect(page.get_by_role("button", name="提交答复")).to_be_disabled()


async def test_results_and_cells_are_shown_to_the_bureau(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("bureau"))
    await page.goto(f"/console/roll-calls/{seeded.record('roll_call')}?tab=results")
    await page.locator("a.row-link").first.click()
    await expect(page.get_by_role("heading", name="核验经过")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.goto(f"/console/sites/{seeded.record('site')}")
    await expect(page.get_by_role("heading", name="签到落点")).to_be_visible()
    await expect(page.get_by_text("至少 10 人")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.goto(f"/console/prompts/{seeded.record('prompt')}")
    await expect(page.get_by_role("region", name="逐次核验的经过")).to_be_visible()
    assert await opened.find_barriers() == []


async def test_bureau_reminds_a_school_that_lags(opened: Visit, seeded: Seeded) -> None:
    page, bureau = opened.page, seeded.staffer("bureau")
    await sign_in(page, bureau)
    await page.get_by_role("link", name="在籍学生联调测试逾期").click()
    await expect(page.get_by_role("heading", level=1, name="准备情况")).to_be_visible()
    await page.get_by_role("button", name="选择本页").click()
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="督促所选").click()
    await expect(page.get_by_text(re.compile(r"^办理 [1-9]"))).to_be_visible()
    assert await opened.find_barriers() == []
    query = {"cohort": "enrolled", "lagging": True}
    rows = (await bureau.get("/v1/rehearsal-readiness", **query)).json()["items"]
    assert any(row["reminded_at"] is not None for row in rows)
    # One result a row: schools without a registrar say so.
    await expect(page.get_by_role("cell", name="没有已激活的学校管理员").first).to_be_visible()
