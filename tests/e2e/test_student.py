"""The student app: activation, check-ins inside, outside and without a network, a phone without a position, leave."""

from datetime import UTC, datetime, timedelta

from playwright.async_api import expect

from backend.demo.staff import expect as succeed
from tests.e2e.camera import FakeCamera
from tests.e2e.pages import Visit
from tests.e2e.student_phone import activate, begin, make_actor, perform, register
from tests.e2e.system import System


def full_time(system: System) -> list[dict[str, str]]:
    """The students of the first school who take part in roll calls."""
    return [each for each in system.organisation.schools[0].roster if each["学习形式"] == "全日制"]


async def launch_titled(system: System, title: str) -> str:
    """A roll call of the first school that opens in a moment. Returns its title."""
    opens = datetime.fromtimestamp(system.clients.clock(), UTC) + timedelta(seconds=2)
    body = {
        "kind": "school_own",
        "title": title,
        "opens_at": opens.isoformat(),
        "closes_at": (opens + timedelta(minutes=90)).isoformat(),
        "audience": {},
    }
    succeed(await system.organisation.schools[0].registrar.post("/v1/roll-calls", body), 201)
    return title


async def test_activation_and_a_check_in_inside(phone: Visit, system: System, camera: FakeCamera) -> None:
    actor = make_actor(camera, 0)
    await activate(phone, system, full_time(system)[0], actor)
    title = await launch_titled(system, "早点名")
    await begin(phone, actor, title, north_m=0)
    assert await phone.find_barriers() == []
    await perform(phone, actor, north_m=0)
    # An animated photograph does not always convince: what counts here is that the position does.
    await expect(phone.page.locator(".result")).to_be_visible()
    assert "地址之外" not in await phone.page.locator(".result").inner_text()
    assert await phone.find_barriers() == []


async def test_check_in_outside_says_so_and_permits_another_try(
    phone: Visit, system: System, camera: FakeCamera
) -> None:
    actor = make_actor(camera, 1)
    await activate(phone, system, full_time(system)[1], actor)
    title = await launch_titled(system, "午点名")
    await begin(phone, actor, title, north_m=3000)
    await perform(phone, actor, north_m=3000)
    await expect(phone.page.get_by_text("备案办学地址之外")).to_be_visible()
    await expect(phone.page.get_by_role("button", name="再试一次")).to_be_visible()


async def test_check_in_survives_a_lost_network_and_a_closed_page(
    phone: Visit, system: System, camera: FakeCamera
) -> None:
    actor = make_actor(camera, 2)
    await activate(phone, system, full_time(system)[2], actor)
    title = await launch_titled(system, "晚自习点名")
    await begin(phone, actor, title, north_m=0)
    await phone.context.set_offline(True)
    await perform(phone, actor, north_m=0)
    await expect(phone.page.get_by_text("网络不好，已保存")).to_be_visible()
    await phone.page.close()
    await phone.context.set_offline(False)
    later = await phone.context.new_page()
    await later.goto("/m/")
    card = later.get_by_role("region", name=title)
    await expect(card.get_by_text("回执：服务器于")).to_be_visible()
    await expect(card.get_by_text("未通过，可再试").or_(card.get_by_text("待认定"))).to_be_visible()


async def test_phone_without_a_position_names_one_next_step(phone: Visit, system: System) -> None:
    await register(phone.page, system, full_time(system)[3])
    title = await launch_titled(system, "课间点名")
    await phone.page.goto("/m/")
    await phone.page.get_by_role("region", name=title).get_by_role("link", name="请辅导员现场核验").click()
    await expect(phone.page.get_by_text("效果相同").first).to_be_visible()
    await phone.context.set_geolocation(None)
    await phone.page.goto(phone.page.url.replace("in-person", "check-in"))
    await expect(phone.page.get_by_role("heading", name="暂时没有位置")).to_be_visible()
    await phone.page.get_by_role("button", name="不行就请辅导员现场核验").click()
    await expect(phone.page.get_by_role("heading", level=1)).to_have_text("请辅导员现场核验")


async def test_leave_is_requested_and_cancelled(phone: Visit, system: System) -> None:
    page = phone.page
    await register(page, system, full_time(system)[4])
    await page.goto("/m/leave")
    await page.get_by_role("button", name="请假").click()
    await page.get_by_label("请假事由").fill("发烧就医")
    assert await phone.find_barriers() == []
    await page.get_by_role("button", name="提交申请").click()
    await expect(page.get_by_text("等待审批")).to_be_visible()
    await page.get_by_role("button", name="取消申请").click()
    await page.get_by_role("button", name="取消申请").click()
    await expect(page.get_by_text("已取消")).to_be_visible()
