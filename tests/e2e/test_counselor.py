"""The counselor's page: sign-in, the live list of a roll call, presence attested on the spot, and decisions on leave."""

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page, expect

from backend.core.clock import legal_day
from backend.demo.fixtures import School
from backend.demo.staff import TOTP_SECONDS, StaffClient
from backend.demo.staff import expect as succeed
from tests.e2e.pages import CAMPUS, Visit
from tests.e2e.roll_calls import launch
from tests.e2e.system import System


def find_counselor(school: School) -> StaffClient:
    return next(iter(school.counselors.values()))


def find_class_counselor(school: School, record: dict[str, str]) -> StaffClient:
    """The counselor of the class of a roster row."""
    return school.counselors[find_class(school, record)["id"]]


def find_class(school: School, record: dict[str, str]) -> dict[str, Any]:
    """The class of a roster row."""
    return next(each for each in school.classes if each["name"] == record["班级名称"])


async def sign_in(page: Page, system: System, staff: StaffClient) -> None:
    """Sign in with a code that neither the API client nor an earlier test has used."""
    system.advance_clock(TOTP_SECONDS)
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
    roll_call = (await launch(system, school, "晚点名"))["id"]
    missing = await counselor.get_all_pages(f"/v1/roll-calls/{roll_call}/missing")
    shown, other = missing[0], missing[1]
    cards = {
        each["student_id"]: succeed(
            await school.registrar.post(f"/v1/students/{each['student_id']}/card-code"), 201
        )["code"]
        for each in (shown, other)
    }
    page = phone.page
    await sign_in(page, system, counselor)
    await page.get_by_role("link", name="晚点名").first.click()
    await page.wait_for_url("**/roll-calls/**")
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


async def file_leave(system: System, school: School, student: dict[str, Any], reason: str) -> str:
    """Register the student's phone, file leave for tomorrow, and return the id of the request."""
    row = next(each for each in school.roster if each["姓名"] == student["name"])
    phone = system.clients.new_phone()
    registration = await phone.register(row["姓名"], row["身份证件号"])
    number = next(row[name] for name in row if "电话" in name)
    while (code := await system.sms_code(number)) is None:
        pass
    succeed(await phone.confirm(registration, code))
    tomorrow = str(legal_day(datetime.fromtimestamp(system.clients.clock(), UTC)) + timedelta(days=1))
    body = {"kind": "sick", "first_day": tomorrow, "last_day": tomorrow, "reason": reason}
    return str(succeed(await phone.post("/v1/leave-requests", json=body), 201)["id"])


async def test_leave_is_decided_with_its_effect_in_view(desktop: Visit, system: System) -> None:
    school = system.organisation.schools[1]
    counselor = find_counselor(school)
    students = await counselor.get_all_pages("/v1/students")
    # Other tests bind the phones of the first and the last ones.
    free = {each["姓名"] for each in system.full_time_students(1)[3:-6]}
    student = next(each for each in students if each["name"] in free)
    leave = await file_leave(system, school, student, "发烧就医")
    page = desktop.page
    await sign_in(page, system, counselor)
    await page.get_by_role("navigation").get_by_role("link", name="待办").click()
    await page.get_by_role("link", name=student["name"]).first.click()
    await expect(page.get_by_text("发烧就医")).to_be_visible()

    await page.get_by_text("不批准", exact=True).click()
    confirm = page.get_by_role("button", name="确认：不批准")
    await expect(confirm).to_be_disabled()
    await page.get_by_text("批准", exact=True).click()
    await expect(page.get_by_text("请假期间发出的点名免于核验")).to_be_visible()
    assert await desktop.find_barriers() == []
    await page.get_by_role("button", name="确认：批准").click()
    await expect(page.get_by_text("已批准。")).to_be_visible()
    assert succeed(await counselor.get(f"/v1/leave-requests/{leave}"))["state"] == "approved"
