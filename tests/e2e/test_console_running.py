"""Aid, terms and calendar, the audit log and the retention in the console."""

from playwright.async_api import expect

from tests.e2e.console import opened, seeded, sign_in
from tests.e2e.pages import Visit
from tests.e2e.seeded import Seeded

__all__ = ["opened", "seeded"]


async def test_registrar_decides_an_application_and_requests_an_export(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    application, filing = seeded.record("aid_application"), seeded.record("aid_filing")
    await sign_in(page, registrar)
    await page.get_by_role("navigation").get_by_role("link", name="资助").click()
    await expect(page.locator("a.row-link").first).to_be_visible()
    assert await opened.find_barriers() == []
    await page.goto(f"/console/aid/applications/{application}")
    await page.get_by_role("radio", name="不批准").check()
    submit = page.get_by_role("button", name="提交决定")
    await expect(submit).to_be_disabled()
    await page.get_by_role("textbox", name="理由").fill("材料不全，请补充后再申请")
    assert await opened.find_barriers() == []
    await submit.click()
    await expect(page.get_by_text("材料不全，请补充后再申请")).to_be_visible()
    decided = (await registrar.get(f"/v1/aid-applications/{application}")).json()
    assert (decided["state"], decided["decided_by"]) == ("refused", str(registrar.account_id))

    await page.goto("/console/aid/withdrawals")
    await page.locator("a.row-link").first.click()
    await page.goto(f"/console/aid/withdrawals/{filing}")
    await expect(page.get_by_text("¥1,150.00").first).to_be_visible()
    assert await opened.find_barriers() == []
    await page.goto(f"/console/aid/exports?filing={filing}")
    await page.get_by_label("用途").fill("报送市资助中心")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="申请导出").click()
    await expect(page.get_by_text("须由另一账号批准")).to_be_visible()
    await page.goto("/console/aid/balance")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert await opened.find_barriers() == []


async def test_export_of_the_chosen_rows_or_of_the_filter(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    await sign_in(page, registrar)
    await page.goto("/console/aid/withdrawals?kind=withdrawal")
    await expect(page.locator("a.row-link").first).to_be_visible()
    await expect(page.get_by_role("heading", name="导出当前筛选的全部")).to_be_visible()
    await page.get_by_role("checkbox").first.check()
    await expect(page.get_by_role("heading", name="导出所选的 1 条")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_label("用途", exact=True).fill("核对一名学生")
    await page.get_by_role("button", name="申请导出").click()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_text("核对一名学生").first).to_be_visible()
    found = (await registrar.get("/v1/aid-withdrawals", kind="withdrawal", limit=200)).json()["items"]
    await page.goto("/console/aid/withdrawals?kind=withdrawal")
    await page.get_by_label("用途", exact=True).fill("核对全部撤回")
    await page.get_by_role("button", name="申请导出").click()
    await expect(page.get_by_text("核对全部撤回").first).to_be_visible()
    exports = (await registrar.get("/v1/aid-withdrawal-exports", limit=200)).json()["items"]
    counted = {each["purpose"]: each["filings"] for each in exports}
    assert counted["核对一名学生"] == 1
    assert counted["核对全部撤回"] == len(found)


async def test_second_person_approves_an_export_and_the_owner_downloads_it(
    opened: Visit, seeded: Seeded
) -> None:
    page, bureau, registrar = opened.page, seeded.staffer("bureau"), seeded.staffer("registrar")
    made = await registrar.post(
        "/v1/aid-withdrawal-exports",
        {"purpose": "年度核对", "filing_ids": [str(seeded.record("aid_filing"))]},
    )
    export = made.json()["id"]
    await sign_in(page, bureau)
    await page.goto("/console/aid/exports")
    await page.get_by_role("link", name="年度核对").click()
    await page.get_by_role("button", name="批准导出").click()
    await expect(page.get_by_text("文件只由申请导出并负责的人下载。")).to_be_visible()
    assert await opened.find_barriers() == []
    taken = await registrar.get(f"/v1/aid-withdrawal-exports/{export}/file", format="csv")
    assert taken.status_code == 200
    await page.reload()
    await expect(page.get_by_role("listitem").filter(has_text="下载")).to_be_visible()


async def test_terms_show_refusals_at_the_field_and_keep_what_was_typed(
    opened: Visit, seeded: Seeded
) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("registrar"))
    await page.goto("/console/terms")
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name="补充假期")).first
    await expect(row).to_be_visible()
    taken = (await seeded.staffer("registrar").get("/v1/terms", limit=200)).json()["items"][-1]
    code = page.locator("input[name=code]")
    await code.fill("another-code")
    await page.locator("input[name=starts_on]").fill(taken["starts_on"])
    await page.locator("input[name=ends_on]").fill(taken["ends_on"])
    await page.get_by_role("button", name="设置学期").click()
    await expect(
        page.locator("label").filter(has=page.locator("input[name=starts_on]")).get_by_role("alert")
    ).to_be_visible()
    await expect(code).to_have_value("another-code")
    assert await opened.find_barriers() == []


async def test_province_checks_a_calendar_year_twice_and_reads_the_retention(
    opened: Visit, seeded: Seeded
) -> None:
    page, province = opened.page, seeded.staffer("province")
    await sign_in(page, province)
    await page.goto("/console/terms")
    await page.get_by_text("载入一年的节假日安排").click()
    lines = [
        "date,kind",
        *(f"2094-{day},holiday" for day in ("01-01", "05-01", "10-01", "10-02", "10-03")),
        "2094-10-09,rest",
    ]
    await page.get_by_label("文件（CSV，可不用）").set_input_files(
        {"name": "2094.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    )
    await expect(page.get_by_text("第 7 行不能识别")).to_be_visible()
    await page.get_by_label("年份").fill("2094")
    await page.get_by_label("依据").fill("国办发明电〔2093〕1号")
    await page.get_by_role("button", name="核对").click()
    await expect(page.get_by_text("2094 年：休息 5 天，调休上班 0 天")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.goto("/console/retention")
    await expect(page.get_by_text("下次执行：")).to_be_visible()
    assert await opened.find_barriers() == []


async def test_audit_log_is_searched_and_leads_to_the_record(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("registrar"))
    await page.goto("/console/audit")
    await page.get_by_label("办理事项").select_option("AccountInvited")
    rows = page.get_by_role("row").filter(has_text="邀请账号")
    await expect(rows.first).to_be_visible()
    await rows.first.get_by_text("查看", exact=True).click()
    await expect(page.get_by_text("kind: ").first).to_be_visible()
    assert await opened.find_barriers() == []
    await rows.first.get_by_role("link", name="账号").click()
    await expect(page.get_by_role("heading", name="最近的登录")).to_be_visible()
    await page.goto(f"/console/audit?student_id={seeded.record('student')}")
    await expect(page.get_by_role("button", name="只看一名学生")).to_be_visible()
    await expect(page.get_by_role("cell").first).to_be_visible()
