"""Tables of the console: their order, search, pages and total are those of the API, and the address holds them."""

import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.pages import Visit
from tests.e2e.seeded import Seeded
from tests.e2e.test_console_cases import opened, sign_in
from tests.support.identity.staff_user import StaffUser

__all__ = ["opened"]
PAGE_SIZE = 50


async def read(staffer: StaffUser, path: str, **query: Any) -> dict[str, Any]:
    """A page of the API, with its total."""
    response = await staffer.get(path, total=True, limit=PAGE_SIZE, **query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


def total_text(page: dict[str, Any]) -> str:
    """The total as the table shows it."""
    count = f"{page['total']['count']:,}"
    return f"共 {count} 条" if page["total"]["is_exact"] else f"{count} 条以上"


def cells(page: Page, column: int) -> Locator:
    """The cells of a column, from 1."""
    return page.locator(f"tbody tr > td:nth-child({column})")


async def press_head(page: Page, name: str, direction: str) -> None:
    """Press the head of a column, and wait until the table says its direction."""
    await page.get_by_role("button", name=name).click()
    await expect(page.get_by_role("columnheader", name=name)).to_have_attribute("aria-sort", direction)


async def test_missing_students_are_sorted_searched_and_counted(opened: Visit, seeded: Seeded) -> None:
    page, bureau = opened.page, seeded.staffer("bureau")
    roll_call = seeded.record("roll_call")
    path = f"/v1/roll-calls/{roll_call}/missing"
    await sign_in(page, bureau)
    await page.goto(f"/console/roll-calls/{roll_call}?tab=missing")
    listed = await read(bureau, path)
    await expect(cells(page, 1)).to_have_text([row["name"] for row in listed["items"]])
    await expect(page.get_by_text(total_text(listed), exact=True)).to_be_visible()
    for sort, direction in (("name", "ascending"), ("-name", "descending")):
        await press_head(page, "姓名", direction)
        listed = await read(bureau, path, sort=sort)
        await expect(cells(page, 1)).to_have_text([row["name"] for row in listed["items"]])
    wanted = listed["items"][0]["name"]
    await page.get_by_role("searchbox").fill(wanted)
    await page.get_by_role("searchbox").press("Enter")
    found = await read(bureau, path, sort="-name", q=wanted)
    await expect(page.get_by_text(total_text(found), exact=True)).to_be_visible()
    await expect(cells(page, 1)).to_have_text([row["name"] for row in found["items"]])
    assert await opened.find_barriers() == []
    await page.reload()  # the address holds the order and the search
    await expect(cells(page, 1)).to_have_text([row["name"] for row in found["items"]])


async def test_audit_log_is_read_page_by_page_from_its_beginning(opened: Visit, seeded: Seeded) -> None:
    page, province = opened.page, seeded.staffer("province")
    await sign_in(page, province)
    await page.goto("/console/audit?sort=at")
    first = await read(province, "/v1/audit-entries", sort="at")
    assert first["next_cursor"] is not None
    second = await read(province, "/v1/audit-entries", sort="at", cursor=first["next_cursor"])
    await expect(cells(page, 1)).to_have_count(PAGE_SIZE)
    before = await cells(page, 1).all_inner_texts()
    await page.get_by_role("button", name="下一页").click()
    await expect(page).to_have_url(re.compile(r"page=2"))
    await expect(cells(page, 1)).to_have_count(len(second["items"]))
    await expect(page.get_by_text("第 2 页")).to_be_visible()
    await page.go_back()
    await expect(cells(page, 1)).to_have_text(before)
    await expect(page.get_by_text(re.compile(r"^共 [\d,]+ 条$|条以上$"))).to_be_visible()


@pytest.mark.parametrize(
    ("address", "path", "head", "sort"),
    [
        ("/console/accounts", "/v1/accounts", "姓名", "name"),
        ("/console/schools", "/v1/schools", "学校", "name"),
        ("/console/students", "/v1/students", "姓名", "name"),
    ],
)
async def test_lists_of_a_bureau_follow_the_api(
    opened: Visit, seeded: Seeded, address: str, path: str, head: str, sort: str
) -> None:
    page, bureau = opened.page, seeded.staffer("bureau")
    await sign_in(page, bureau)
    await page.goto(f"{address}?sort=-{sort}")
    query = {"staff_only": True} if path == "/v1/accounts" else {}
    field = "display_name" if path == "/v1/accounts" else "name"
    for order, direction in ((f"-{sort}", "descending"), (sort, "ascending")):
        if order == sort:
            await page.get_by_role("columnheader", name=head, exact=False).first.get_by_role("button").click()
        await expect(page.get_by_role("columnheader", name=head).first).to_have_attribute(
            "aria-sort", direction
        )
        listed = await read(bureau, path, sort=order, **query)
        await expect(cells(page, 1)).to_have_text([row[field] for row in listed["items"]])
        await expect(page.get_by_text(total_text(listed), exact=True)).to_be_visible()
    assert await opened.find_barriers() == []


async def test_bureau_opens_an_undetermined_result_from_home(opened: Visit, seeded: Seeded) -> None:
    page, bureau = opened.page, seeded.staffer("bureau")
    await sign_in(page, bureau)
    await page.goto("/console/undetermined")
    listed = await read(bureau, "/v1/undetermined-results")
    await expect(page.get_by_role("heading", level=1, name="待判定")).to_be_visible()
    await expect(page.get_by_text(total_text(listed), exact=True)).to_be_visible()
    await expect(page.locator("a.row-link")).to_have_text([row["student_name"] for row in listed["items"]])
    assert await opened.find_barriers() == []
    waiting = (await bureau.get("/v1/me/work-queue")).json()["undetermined"]
    assert waiting == min(1000, listed["total"]["count"])
    await page.goto("/console/")
    link = page.get_by_role("main").get_by_role("link", name="待判定的核验结果")
    await expect(link).to_have_count(1 if waiting else 0)


async def test_registrar_records_what_was_found_about_a_difference(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    query = {"state": "open", "limit": 200}
    before = (await registrar.get("/v1/replay-differences", **query)).json()["items"]
    await sign_in(page, registrar)
    await page.get_by_role("link", name="推算结果与存档不同的学生").click()
    await page.get_by_role("button", name=re.compile("写明查看情况")).first.click()
    submit = page.get_by_role("button", name="记录", exact=True)
    await expect(submit).to_be_disabled()
    await page.get_by_label("查明的情况").fill("导入时写错，已在学校更正")
    assert await opened.find_barriers() == []
    await submit.click()
    await expect(submit).to_have_count(0)
    await page.get_by_label("显示", exact=True).select_option("reviewed")
    await expect(page.get_by_text("导入时写错，已在学校更正")).to_be_visible()
    left = (await registrar.get("/v1/replay-differences", **query)).json()["items"]
    assert len(left) == len(before) - 1
