"""Accounts in the console: found, invited, disabled, recovered by two persons, and the own account."""

import pytest
from playwright.async_api import Page, expect

from backend.core.ids import new_id
from tests.e2e.console import opened, sign_in
from tests.e2e.pages import Visit
from tests.e2e.pictures import keep_picture
from tests.e2e.seeded import Seeded

__all__ = ["opened"]


async def invite(page: Page, login: str, name: str) -> None:
    await page.get_by_role("textbox", name="账号", exact=False).fill(login)
    await page.get_by_label("姓名").fill(name)
    await page.get_by_role("button", name="建立并生成邀请").click()


@pytest.mark.pictures
async def test_registrar_invites_a_counselor_and_disables_the_account(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    await sign_in(page, registrar)
    await page.get_by_role("navigation").get_by_role("link", name="账号").click()
    await expect(page.locator("a.row-link").first).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("link", name="新建账号").click()
    await invite(page, "qian.laoshi", "钱老师")
    sheet = page.get_by_role("status")
    await expect(sheet.get_by_role("img", name="钱老师的激活二维码")).to_be_visible()
    await keep_picture(page, "console-account-code-1280")
    assert await opened.find_barriers() == []
    code = await sheet.locator("code").inner_text()
    await expect(sheet).to_contain_text(f"{seeded.url}/c/activation#login=qian.laoshi&code={code}")
    await invite(page, "qian.laoshi", "同名的账号")
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.get_by_label("姓名")).to_have_value("同名的账号")

    await page.goto("/console/accounts?q=qian.laoshi")
    await page.get_by_role("link", name="钱老师").click()
    await page.get_by_label("理由", exact=True).fill("误建")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="停用账号").click()
    await expect(page.get_by_role("button", name="恢复账号")).to_be_visible()
    (account,) = (await registrar.get("/v1/accounts", q="qian.laoshi")).json()["items"]
    assert account["status"] == "disabled"


async def test_second_person_decides_a_reset_and_hands_over_the_code(opened: Visit, seeded: Seeded) -> None:
    page, bureau = opened.page, seeded.staffer("bureau")
    registrar, counselor = seeded.staffer("registrar"), seeded.staffer("counselor")
    lost = await registrar.post(
        f"/v1/accounts/{counselor.account_id}/authenticator-resets", {"reason": "忘记密码，已当面核对"}
    )
    assert lost.status_code == 201
    asked = await bureau.post(
        f"/v1/accounts/{registrar.account_id}/authenticator-resets", {"reason": "手机丢失，已当面核对"}
    )
    assert asked.status_code == 201
    await sign_in(page, bureau)
    await page.goto("/console/accounts/resets")
    await expect(page.get_by_role("row").filter(has_text="手机丢失，已当面核对")).to_contain_text(
        "须由另一人复核"
    )
    of_another = page.get_by_role("row").filter(has_text=counselor.login)
    await of_another.get_by_role("button", name="复核").click()
    await page.get_by_label("怎样核对了本人").fill("已电话核对本人")
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="批准", exact=True).click()
    await expect(of_another).to_contain_text("已批准")
    code = await page.get_by_role("status").locator("code").inner_text()
    confirmed = await counselor.begin(activation_code=code)
    assert confirmed.status_code == 201
    assert await opened.find_barriers() == []


async def test_own_account_shows_sessions_and_signs_others_out(opened: Visit, seeded: Seeded) -> None:
    page = opened.page
    await sign_in(page, seeded.staffer("other_registrar"))
    await page.get_by_role("link", name="学校").last.click()
    await expect(page.get_by_role("heading", level=1, name="我的账号")).to_be_visible()
    await expect(page.get_by_text("本次登录")).to_be_visible()
    assert await opened.find_barriers() == []
    await page.get_by_role("button", name="退出其他全部登录").click()
    await expect(page.get_by_role("button", name="退出其他全部登录")).to_have_count(0)
    await expect(page.get_by_text("本次登录")).to_be_visible()


async def test_registrar_invites_counselors_from_a_list(opened: Visit, seeded: Seeded) -> None:
    page, registrar = opened.page, seeded.staffer("registrar")
    await sign_in(page, registrar)
    await page.goto("/console/accounts")
    await page.get_by_role("link", name="按名单邀请辅导员").click()
    phone = f"139{new_id().int % 10**8:08d}"
    await page.get_by_label("名单").fill(f"姓名\t手机\t班级\n钱老师\t{phone}\n吴老师\t{phone}\t没有这个班")
    await page.get_by_role("button", name="检查 2 行").click()
    await expect(page.get_by_text("可以邀请 1 人，1 行有问题")).to_be_visible()
    await expect(page.get_by_role("cell", name="没有名为“没有这个班”的班级")).to_be_visible()
    assert await opened.find_barriers() == []
    assert (await registrar.get("/v1/accounts", q=phone)).json()["items"] == []
    await page.get_by_role("button", name="邀请 1 人").click()
    await expect(page.get_by_text("已邀请 1 人，未办理 1 行")).to_be_visible()
    await expect(page.get_by_role("img", name="钱老师")).to_be_visible()
    assert await opened.find_barriers() == []
    [account] = (await registrar.get("/v1/accounts", q=phone)).json()["items"]
    assert (account["display_name"], account["status"]) == ("钱老师", "invited")
