"""A registrar mends and imports a roster, assigns counselors, prints cards, and reads a student's whole file."""

import re
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from playwright.async_api import Page, expect

from backend.exchange.roster.annotation import FINDINGS_SHEET
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.writer import write_roster
from tests.e2e.console import opened, seeded, sign_in
from tests.e2e.pages import Visit
from tests.e2e.pictures import keep_picture
from tests.e2e.seeded import Seeded
from tests.support.student_file import MONTHLY_FEN, fill_student_file

__all__ = ["opened", "seeded"]

A4 = (595, 842)
"""Points."""


def write_faulty_roster(folder: Path, seed: int) -> Path:
    """A workbook of two classes in which a name is missing and a phone number is none."""
    plan = plan_school("4141000001", "示例职业学校（虚构）", students=60, part_time_classes=0)
    records = [dict(each) for each in generate_students(seed, [plan])]
    records[0]["姓名"] = ""
    records[1]["联系电话"] = "12"
    path = folder / "2026级新生.xlsx"
    write_roster(path, records, variant="national", form="xlsx")
    return path


async def choose_and_check(page: Page, path: Path) -> None:
    await page.get_by_label("花名册文件").set_input_files(path)
    await page.get_by_role("button", name="检查", exact=True).click()


@pytest.mark.pictures
async def test_faulty_roster_is_mended_in_the_annotated_workbook_and_imported(
    opened: Visit, seeded: Seeded, tmp_path: Path
) -> None:
    page = opened.page
    await opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sign_in(page, seeded.staffer("registrar"))
    await page.goto("/console/roster")
    upload = write_faulty_roster(tmp_path, seed=41)
    await choose_and_check(page, upload)
    await expect(page.get_by_role("link", name=re.compile("^A2"))).to_be_visible()
    await expect(page.get_by_role("button", name="导入", exact=True)).to_be_disabled()
    await keep_picture(page, "console-roster-findings-1280")
    assert await opened.find_barriers() == []
    await page.get_by_label("级别").select_option("warning")
    await expect(page.get_by_role("link", name=re.compile("^A2"))).to_have_count(0)
    await expect(page).to_have_url(f"{seeded.url}/console/roster?severity=warning")
    await page.get_by_label("代码").select_option("phone_unreadable")
    await page.get_by_role("button", name="复制").first.click()
    await expect(page.get_by_text("的链接。对方打开后")).to_be_visible()
    link = await page.evaluate("navigator.clipboard.readText()")

    async with page.expect_download() as saved:
        await page.get_by_role("button", name="下载标出问题的文件").click()
    download = await saved.value
    assert download.suggested_filename == "2026级新生-检查结果.xlsx"
    mended = tmp_path / "mended.xlsx"
    await download.save_as(mended)
    book = load_workbook(mended)
    listed, students = book[FINDINGS_SHEET], book["学生信息"]
    assert isinstance(listed, Worksheet)
    assert isinstance(students, Worksheet)
    codes = [row[5].value for row in listed.iter_rows(min_row=7)]
    assert codes[:1] == ["value_missing"]
    assert "phone_unreadable" in codes
    name = students["A2"]
    assert name.comment is not None
    assert "必填项为空" in name.comment.text
    name.value = "补录姓名"
    book.save(mended)

    await page.goto(link)
    await expect(page.get_by_text("请选择同一文件并检查")).to_be_visible()
    await choose_and_check(page, mended)
    await expect(page.get_by_text("链接指向的是另一份文件")).to_be_visible()
    await expect(page.locator("[aria-current=location]")).to_be_visible()
    await expect(page.get_by_text("没有发现错误，可以导入。")).to_be_visible()
    await page.get_by_role("button", name="导入", exact=True).click()
    await expect(page.get_by_text("已导入：新增 60")).to_be_visible()


async def test_counselors_are_assigned_by_the_form_and_by_dragging(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    await sign_in(page, registrar)
    await page.get_by_role("link", name="班级与辅导员").click()
    rows = page.get_by_role("row")
    await expect(rows.nth(1).get_by_text("未分配")).to_be_visible()
    assert await opened.find_barriers() == []
    first, second = [await rows.nth(at).locator("a.row-link").inner_text() for at in (1, 4)]
    await page.get_by_label(f"选择{first}", exact=True).check()
    await page.get_by_label("选择辅导员", exact=True).select_option(index=1)
    await page.get_by_role("button", name="分配所选 1 个班级").click()
    await expect(page.get_by_role("status").get_by_text(f"{first}: 已办理")).to_be_visible()
    await expect(rows.get_by_text("未分配")).to_have_count(0)  # the list is read again before the rows move
    target = page.locator(".targets li").first
    await page.locator("a.row-link .handle").filter(has_text=second).drag_to(target)
    await expect(page.get_by_role("status").get_by_text(f"{second}: 已办理")).to_be_visible()
    classes = (await registrar.get("/v1/classes?limit=200")).json()["items"]
    counselors = {each["name"]: each["counselor_id"] for each in classes}
    assert counselors[first] is not None
    assert counselors[first] == counselors[second]
    await page.get_by_label("班级名称").fill(first)
    await page.get_by_label("班级名称").press("Enter")
    await expect(page.locator("a.row-link")).to_have_count(1)


async def test_cards_of_a_class_are_printed_on_a4(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("registrar"))
    await page.goto("/console/classes?unassigned=false")
    await page.locator("a.row-link").last.click()
    await expect(page.get_by_role("heading", level=2, name="学生")).to_be_visible()
    await expect(page.locator("a.row-link").first).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("link", name="学生卡").click()
    await page.get_by_role("button", name=re.compile(r"^制发 \d+ 张卡$")).click()
    cards = page.get_by_role("list", name="学生卡").get_by_role("listitem")
    await expect(cards.first.locator(".code").first).to_have_text(re.compile(r"^\d{8}$"))
    assert await opened.find_barriers() == []
    printed = await page.pdf(prefer_css_page_size=True)
    [box, *_] = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert tuple(round(float(side)) for side in box) == A4
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="返回班级").click()
    await expect(page.get_by_role("link", name="学生卡")).to_be_visible()


async def test_whole_file_of_a_student_is_read_filtered_and_printed(opened: Visit, seeded: Seeded) -> None:
    page, scenario = opened.page, seeded.scenario
    student = scenario.records["colleague"]["second_student"]
    async with scenario.roll.owner_transaction() as session:
        await fill_student_file(
            session,
            student,
            scenario.records["school"]["missed_check"],
            scenario.world.school.path,
            scenario.app_context.keys,
            scenario.clock(),
        )
    await sign_in(page, seeded.staffer("registrar"))
    name = (await seeded.staffer("registrar").get(f"/v1/students/{student}")).json()["name"]
    await page.get_by_role("link", name="学生", exact=True).click()
    await page.get_by_label("姓名、学籍号或身份证件号").fill(name)
    await page.get_by_role("button", name="搜索").click()
    await expect(page).to_have_url(re.compile("q="))
    await page.get_by_role("link", name=name, exact=True).click()
    records = page.locator("tbody tr")
    await expect(records).to_have_count(50)
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="下一页").click()
    await expect(page.get_by_text("第 2 页")).to_be_visible()
    await page.get_by_label("显示").select_option("aid_payment")
    await expect(records).to_have_count(1)
    await expect(records.get_by_text(f"¥{MONTHLY_FEN / 100:.2f}")).to_be_visible()
    await records.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=2, name="账目余额")).to_be_visible()
    await expect(page.get_by_text(f"¥{MONTHLY_FEN * 2 / 100:.2f}").first).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("link", name="全部记录").click()
    await expect(records).to_have_count(50)
    await page.evaluate(
        "window.print = () => { document.title = document.querySelectorAll('.only-print tbody tr').length }"
    )
    await page.get_by_role("button", name="打印全部").click()
    await expect(page).to_have_title(re.compile(r"^[67]\d$"))
    for kind, heading in (
        ("leave", re.compile("的请假$")),
        ("standing", "学籍变动"),
        ("statement", re.compile("的提示$")),
        ("claim", None),
    ):
        await page.goto(f"/console/students/{student}?kind={kind}")
        await records.first.get_by_role("link").click()
        if heading is None:
            await expect(page).to_have_url(re.compile("/roll-calls/"))
        else:
            await expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()


async def test_superior_accepts_dismissals_in_bulk(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("bureau"))
    await page.goto("/console/prompts?view=all&state=dismissal_pending")
    await page.locator("tbody input[type=checkbox]").first.check()
    accept = page.get_by_role("button", name="同意撤销所选 1 条")
    await expect(accept).to_be_disabled()
    await page.get_by_label("对所选各条的同意意见").fill("材料齐全，同意撤销")
    assert await opened.find_barriers() == []
    await accept.click()
    await expect(page.get_by_role("status").get_by_text("已办理")).to_be_visible()
