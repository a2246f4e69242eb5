"""Check-ins of an activated student: inside, outside, with a wrong face, without a network, without a camera, by attestation."""

from playwright.async_api import expect

from backend.demo.staff import expect as succeed
from tests.e2e.camera import FakeCamera
from tests.e2e.pages import Visit
from tests.e2e.roll_calls import launch, load_findings
from tests.e2e.student_phone import OTHER, Actor, Student, begin, exclude, perform
from tests.e2e.system import System
from tests.e2e.test_counselor import find_class_counselor, sign_in


async def test_check_in_inside_is_accepted(student: Student, system: System) -> None:
    school = system.organisation.schools[0]
    roll_call = await launch(system, school, "早点名")
    await begin(student.visit, student.actor, "早点名", north_m=0)
    assert await student.visit.find_barriers() == []
    await perform(student.visit, student.actor, north_m=0)
    await expect(student.visit.page.get_by_role("heading", name="核验通过")).to_be_visible()
    assert await student.visit.find_barriers() == []
    assert await load_findings(system, school, roll_call) == [("accepted", ["verified"])]


async def test_check_in_outside_says_so_and_permits_another_try(student: Student, system: System) -> None:
    school, page = system.organisation.schools[0], student.visit.page
    roll_call = await launch(system, school, "午点名")
    await begin(student.visit, student.actor, "午点名", north_m=3000)
    await exclude(page, "闭眼")
    await perform(student.visit, student.actor, north_m=3000)
    await expect(page.get_by_text("备案办学地址之外")).to_be_visible()
    await expect(page.get_by_role("button", name="再试一次")).to_be_visible()
    [(finding, reasons)] = await load_findings(system, school, roll_call)
    assert (finding, reasons[0]) == ("rejected", "outside_site")


async def test_check_in_with_a_wrong_face_leads_to_a_person(
    student: Student, system: System, camera: FakeCamera
) -> None:
    school, page = system.organisation.schools[0], student.visit.page
    roll_call = await launch(system, school, "课前点名")
    other = Actor(camera, OTHER)
    await begin(student.visit, other, "课前点名", north_m=0)
    await perform(student.visit, other, north_m=0)
    await expect(page.locator(".result")).to_be_visible()
    await expect(page.get_by_role("heading", name="核验通过")).to_have_count(0)
    [(finding, reasons)] = await load_findings(system, school, roll_call)
    # Where the film of the fake camera changes, a picture may be cut, and the face is unusable before it is compared.
    assert (finding, reasons[0]) in {("rejected", "face_mismatch"), ("step_up", "face_unusable")}


async def test_check_in_survives_a_lost_network_and_a_closed_page(student: Student, system: System) -> None:
    school = system.organisation.schools[0]
    roll_call = await launch(system, school, "晚自习点名")
    await begin(student.visit, student.actor, "晚自习点名", north_m=0)
    await student.visit.context.set_offline(True)
    await perform(student.visit, student.actor, north_m=0)
    await expect(student.visit.page.get_by_text("网络不好，已保存")).to_be_visible()
    await student.visit.page.close()
    await student.visit.context.set_offline(False)
    later = student.visit.page = await student.visit.context.new_page()
    student.visit.watch()
    await later.goto("/m/")
    card = later.get_by_role("region", name="晚自习点名")
    await expect(card.get_by_text("回执：服务器于")).to_be_visible()
    await expect(card.get_by_text("已通过", exact=True)).to_be_visible()
    assert await load_findings(system, school, roll_call) == [("accepted", ["verified"])]


async def test_attestation_by_the_counselor_shows_on_the_phone(
    student: Student, desktop: Visit, system: System
) -> None:
    school, page = system.organisation.schools[0], student.visit.page
    roll_call = await launch(system, school, "实训点名")
    await page.goto("/m/")
    card = page.get_by_role("region", name="实训点名")
    await card.get_by_role("link", name="请辅导员现场核验").click()
    await expect(page.get_by_text("输入卡上的 8 位核验码")).to_be_visible()
    assert await student.visit.find_barriers() == []

    counselor = find_class_counselor(school, student.record)
    name = student.record["姓名"]
    missing = await counselor.get_all_pages(f"/v1/roll-calls/{roll_call['id']}/missing")
    student_id = next(each["student_id"] for each in missing if each["name"] == name)
    code = succeed(await school.registrar.post(f"/v1/students/{student_id}/card-code"), 201)["code"]
    await sign_in(desktop.page, system, counselor)
    await desktop.page.get_by_role("link", name="实训点名").first.click()
    await desktop.page.get_by_role("link", name=f"为{name}现场核验", exact=True).click()
    await expect(desktop.page.get_by_text("您的位置已取得")).to_be_visible()
    await desktop.page.get_by_label("学生卡核验码").fill(code)
    await desktop.page.get_by_text("摄像头损坏").click()
    await desktop.page.get_by_role("button", name=f"确认{name}本人在场").click()
    await expect(desktop.page.get_by_role("heading", name="已确认在场")).to_be_visible()

    await page.goto("/m/")
    await expect(card.get_by_text("已通过", exact=True)).to_be_visible()
    results = await counselor.get_all_pages(f"/v1/roll-calls/{roll_call['id']}/results", outcome="present")
    assert [each["student_id"] for each in results] == [student_id]


async def test_refused_camera_says_how_to_permit_it(student: Student, system: System) -> None:
    page = student.visit.page
    await launch(system, system.organisation.schools[0], "大课间点名")
    await student.visit.context.clear_permissions()
    await student.visit.context.grant_permissions(["geolocation"])
    await page.goto("/m/")
    await page.get_by_role("region", name="大课间点名").get_by_role("button", name="开始核验").click()
    await page.get_by_role("button", name="允许定位").click()
    await page.get_by_role("button", name="打开摄像头").click()
    await expect(page.get_by_role("heading", name="摄像头被禁止")).to_be_visible()
    assert await student.visit.find_barriers() == []
    await student.visit.context.grant_permissions(["camera", "geolocation"])
    await page.get_by_role("button", name="再试一次").click()
    await expect(page.get_by_role("button", name="我准备好了")).to_be_enabled()
