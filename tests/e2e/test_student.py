"""The student app on a phone that is registered only: no position, and leave."""

from playwright.async_api import expect

from tests.e2e.pages import Visit
from tests.e2e.roll_calls import launch
from tests.e2e.student_phone import register
from tests.e2e.system import System


async def test_phone_without_a_position_names_one_next_step(phone: Visit, system: System) -> None:
    await register(phone.page, system, system.full_time_students(0)[3])
    await launch(system, system.organisation.schools[0], "课间点名")
    await phone.page.goto("/m/")
    await (
        phone.page.get_by_role("region", name="课间点名").get_by_role("link", name="请辅导员现场核验").click()
    )
    await expect(phone.page.get_by_text("效果相同").first).to_be_visible()
    await phone.context.set_geolocation(None)
    await phone.page.goto(phone.page.url.replace("in-person", "check-in"))
    await expect(phone.page.get_by_role("heading", name="暂时没有位置")).to_be_visible()
    await phone.page.get_by_role("button", name="不行就请辅导员现场核验").click()
    await expect(phone.page.get_by_role("heading", level=1)).to_have_text("请辅导员现场核验")


async def test_leave_is_requested_and_cancelled(phone: Visit, system: System) -> None:
    page = phone.page
    await register(page, system, system.full_time_students(0)[4])
    await page.goto("/m/leave")
    await page.get_by_role("button", name="请假").click()
    await page.get_by_label("请假事由").fill("发烧就医")
    assert await phone.find_barriers() == []
    await page.get_by_role("button", name="提交申请").click()
    await expect(page.get_by_text("等待审批")).to_be_visible()
    await page.get_by_role("button", name="取消申请").click()
    await page.get_by_role("button", name="取消申请").click()
    await expect(page.get_by_text("已取消")).to_be_visible()
