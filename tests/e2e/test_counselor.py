"""The counselor's page: sign-in, the live list of a roll call, and presence attested on the spot."""

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page, expect

from backend.demo.fixtures import School
from backend.demo.staff import StaffClient
from backend.demo.staff import expect as succeed
from tests.e2e.pages import CAMPUS, Visit
from tests.e2e.system import System

WINDOW = timedelta(minutes=90)


async def launch(system: System, school: School) -> dict[str, Any]:
    """A roll call of the school's own that opens in a moment."""
    opens = datetime.fromtimestamp(system.clients.clock(), UTC) + timedelta(seconds=2)
    body = {
        "kind": "school_own",
        "title": "晚点名",
        "opens_at": opens.isoformat(),
        "closes_at": (opens + WINDOW).isoformat(),
        "audience": {},
    }
    launched: dict[str, Any] = succeed(await school.registrar.post("/v1/roll-calls", body), 201)
    return launched


def find_counselor(school: School) -> StaffClient:
    return next(iter(school.counselors.values()))


async def sign_in(page: Page, staff: StaffClient) -> None:
    """Sign in with a code that the API client has not used."""
    await page.goto("/c/")
    await page.get_by_label("账号").fill(staff.credentials.login)
    await page.get_by_label("密码").fill(staff.credentials.password)
    await page.get_by_label("动态码").fill(staff.totp(steps_ago=-1))
    await page.get_by_role("button", name="登录").click()
    await expect(page.get_by_role("heading", level=1, name="点名")).to_be_visible()


async def attest_elsewhere(staff: StaffClient, roll_call: str, student: str, code: str) -> None:
    """Attest a student with another client of the same counselor."""
    path = f"/v1/roll-calls/{roll_call}"
    sites = succeed(await staff.get(f"{path}/sites"))
    position = {
        "lon": CAMPUS["longitude"],
        "lat": CAMPUS["latitude"],
        "accuracy_m": CAMPUS.get("accuracy"),
        "datum": "wgs84",
        "age_s": 1.0,
    }
    body = {
        "student_id": student,
        "code": code,
        "site_version_id": sites[0]["site_version_id"],
        "reason": "无智能手机",
        "position": position,
    }
    succeed(await staff.post(f"{path}/attestations", body), 201)


async def test_live_list_and_attestation_on_the_spot(phone: Visit, system: System) -> None:
    school = system.organisation.schools[0]
    counselor = find_counselor(school)
    roll_call = (await launch(system, school))["id"]
    missing = await counselor.get_all_pages(f"/v1/roll-calls/{roll_call}/missing")
    shown, other = missing[0], missing[1]
    cards = {
        each["student_id"]: succeed(
            await school.registrar.post(f"/v1/students/{each['student_id']}/card-code"), 201
        )["code"]
        for each in (shown, other)
    }
    page = phone.page
    await sign_in(page, counselor)
    await page.get_by_role("link", name="晚点名").first.click()
    await expect(page.get_by_text(f"还差 {len(missing)} 人")).to_be_visible()
    await expect(page.get_by_text("实时更新")).to_be_visible()
    assert await phone.find_barriers() == []

    await attest_elsewhere(counselor, roll_call, other["student_id"], cards[other["student_id"]])
    await expect(page.get_by_text(f"还差 {len(missing) - 1} 人")).to_be_visible()
    await expect(page.get_by_role("link", name=f"为{other['name']}现场核验", exact=True)).to_have_count(0)

    await page.get_by_role("link", name=f"为{shown['name']}现场核验", exact=True).click()
    await expect(page.get_by_text("您的位置已取得")).to_be_visible()
    await page.get_by_label("学生卡核验码").fill("00000000")
    await page.get_by_text("手机损坏").click()
    confirm = page.get_by_role("button", name=f"确认{shown['name']}本人在场")
    await confirm.click()
    await expect(page.get_by_role("alert")).to_contain_text("学生卡核验码不符")
    assert await phone.find_barriers() == []
    await page.get_by_label("学生卡核验码").fill(cards[shown["student_id"]])
    await confirm.click()
    await expect(page.get_by_role("heading", name="已确认在场")).to_be_visible()
    results = await counselor.get_all_pages(f"/v1/roll-calls/{roll_call}/results", outcome="present")
    assert {each["student_id"] for each in results} == {shown["student_id"], other["student_id"]}
