"""A counselor's first sign-in by invitation, whom to reach and how, and a registrar's dismissal of a prompt."""

import re
from datetime import timedelta
from typing import Any

import pyotp
from playwright.async_api import Browser, expect

from tests.e2e.pages import DESKTOP, PHONE, visit
from tests.e2e.pictures import keep_picture
from tests.e2e.seeded import Seeded
from tests.e2e.test_counselor_tasks import sign_in
from tests.support.identity.staff_user import PASSWORD
from tests.support.roll_call.student_phone import INSIDE

LATER = timedelta(seconds=30)
WINDOW = timedelta(hours=1)


async def test_invitation_fills_in_school_login_and_code(browser: Browser, seeded: Seeded) -> None:
    school, clock = seeded.scenario.world.school, seeded.scenario.clock
    invited = (await seeded.staffer("registrar").invite("counselor", school.id)).json()
    async with visit(browser, seeded, PHONE) as opened:
        page = opened.page
        await page.goto(invited["activation_link"])
        me = (await seeded.staffer("registrar").get("/v1/me")).json()
        await expect(page.get_by_label("学校或单位")).to_have_value(me["org_name"])
        await expect(page.get_by_label("激活码")).to_have_value(invited["activation_code"])
        await expect(page).to_have_url(
            re.compile("/c/activation$")
        )  # the address no longer contains the code
        login = await page.get_by_label("账号").input_value()
        assert await opened.find_barriers() == []
        await keep_picture(page, "activation-390")
        await page.get_by_label("姓名").fill("陈老师")
        await page.get_by_label("手机号").fill("13800000077")
        await page.get_by_label("设置密码").fill(PASSWORD)
        await page.get_by_role("button", name="下一步").click()
        secret = await page.locator("code").inner_text()
        await page.get_by_label("验证器里的 6 位动态码").fill(pyotp.TOTP(secret).at(clock()))
        assert await opened.find_barriers() == []
        await page.get_by_role("button", name="完成激活").click()
        await page.get_by_role("button", name="去登录").click()
        clock.offset += LATER
        await page.get_by_label("账号").fill(login)
        await page.get_by_label("密码").fill(PASSWORD)
        await page.get_by_label("动态码").fill(pyotp.TOTP(secret).at(clock()))
        await page.get_by_role("button", name="登录").click()
        await expect(page.get_by_role("heading", level=1, name="点名")).to_be_visible()
        assert opened.problems == []


async def launch_school_roll_call(seeded: Seeded, title: str) -> str:
    """A roll call of the school that has just opened, with every site of the school."""
    clock = seeded.scenario.clock
    opens = clock() + LATER
    body: dict[str, Any] = {
        "kind": "school_own",
        "title": title,
        "opens_at": opens.isoformat(),
        "closes_at": (opens + WINDOW).isoformat(),
        "audience": {},
    }
    launched = await seeded.staffer("registrar").post("/v1/roll-calls", body)
    assert launched.status_code == 201, launched.text
    clock.offset += 2 * LATER
    return str(launched.json()["id"])


async def warn(seeded: Seeded) -> str:
    """Excuse one of the two misses of a student, so that one more leads to a prompt; returns the name."""
    province = seeded.staffer("province")
    path = f"/v1/appeals/{seeded.record('classmate_own_appeal')}"
    decided = await province.post(
        f"{path}/decision", {"upheld": True, "finding": "excused", "reasons": "住院属实"}
    )
    assert decided.is_success, decided.text
    return str((await province.get(path)).json()["student_name"])


async def test_near_limit_urged_and_attested_at_a_chosen_site(browser: Browser, seeded: Seeded) -> None:
    name = await warn(seeded)
    roll_call = await launch_school_roll_call(seeded, "晚自习点名")
    registrar, student = seeded.staffer("registrar"), seeded.record("bystander")
    code = (await registrar.post(f"/v1/students/{student}/card-code")).json()["code"]
    counselor = seeded.staffer("counselor")
    sites = (await counselor.get(f"/v1/roll-calls/{roll_call}/sites")).json()
    assert len(sites) > 1
    async with visit(browser, seeded, PHONE) as opened:
        page = opened.page
        await opened.context.set_geolocation({"longitude": INSIDE[0], "latitude": INSIDE[1], "accuracy": 12})
        await sign_in(page, counselor)
        await page.goto("/c/students")
        near = page.get_by_role("region", name="接近上限")
        await expect(near.get_by_role("link", name=name)).to_contain_text("再有一次未按时核验")
        await page.goto(f"/c/roll-calls/{roll_call}")
        row = page.get_by_role("article").filter(has=page.get_by_role("link", name=name))
        await expect(row.get_by_text("再有一次未按时核验")).to_be_visible()
        await row.get_by_role("button", name=f"督促{name}").click()
        await expect(row.get_by_text("已督促", exact=True)).to_be_visible()
        assert await opened.find_barriers() == []
        await keep_picture(page, "urged-390")

        await row.get_by_role("link", name=f"为{name}现场核验").click()
        await page.get_by_label("所在办学地址").select_option(label=sites[1]["site_name"])
        await page.get_by_label("学生卡核验码").fill(code)
        await page.get_by_text("手机损坏").click()
        assert await opened.find_barriers() == []
        await keep_picture(page, "site-choice-390")
        await page.get_by_role("button", name="本人在场").click()
        await expect(page.get_by_role("heading", name="已确认在场")).to_be_visible()
        [attested] = (await registrar.get(f"/v1/roll-calls/{roll_call}/attestations")).json()["items"]
        assert attested["site_version_id"] == sites[1]["site_version_id"]
        assert opened.problems == []


async def test_prompt_is_dismissed_with_a_reason_and_acknowledged(browser: Browser, seeded: Seeded) -> None:
    registrar = seeded.staffer("registrar")
    path = f"/v1/prompts/{seeded.record('received_prompt')}"
    async with visit(browser, seeded, DESKTOP) as opened:
        page = opened.page
        await sign_in(page, registrar)
        await page.goto(f"/c/tasks/prompts/{seeded.record('received_prompt')}")
        form = page.get_by_role("form", name="处理提示")
        await form.get_by_text("免予处理", exact=True).click()
        await form.get_by_role("combobox").select_option("illness")
        await form.get_by_role("textbox").fill("两次核验时均在住院，有病历")
        assert await opened.find_barriers() == []
        await keep_picture(page, "dismissal-1280")
        await form.get_by_role("button", name="确认：").click()
        await expect(page.get_by_text("两次核验时均在住院，有病历").last).to_be_visible()
        await expect(form).to_have_count(0)
        decision = (await registrar.get(path)).json()["decisions"][-1]
        answer = {"accepted": True, "opinion": "病历属实"}
        answered = await seeded.staffer("bureau").post(
            f"/v1/prompt-decisions/{decision['id']}/answer", answer
        )
        assert answered.is_success, answered.text
        await page.reload()
        await expect(page.get_by_text("上级已同意免予处理")).to_contain_text("病历属实")
        await keep_picture(page, "dismissal-acknowledged-1280")
        assert opened.problems == []
