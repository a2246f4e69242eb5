"""The console's sites: a registrar files by coordinates and by drawing, the superior approves or returns."""

import re

from playwright.async_api import Page, expect

from backend.demo.staff import StaffClient
from tests.e2e.pages import Visit
from tests.e2e.system import System
from tests.e2e.test_console import sign_in

BOWTIE = "polygon,lon,lat\n1,113.5372,34.8190\n1,113.5392,34.8210\n1,113.5392,34.8190\n1,113.5372,34.8210\n"
SQUARE = "polygon,lon,lat\n1,113.5372,34.8190\n1,113.5392,34.8190\n1,113.5392,34.8210\n1,113.5372,34.8210\n"
KML = (
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>'
    "113.531,34.818 113.533,34.818 113.533,34.820 113.531,34.820 113.531,34.818"
    "</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></kml>"
)
NAME = "南校区"


def superior_of(system: System) -> StaffClient:
    plan = system.organisation.schools[0].plan
    return system.organisation.bureaus.get(plan.parent, system.organisation.province)


async def draw(page: Page, corners: list[tuple[int, int]]) -> None:
    """Click the corners of a polygon on the map, in pixels from its top left corner."""
    region = page.get_by_role("region", name=re.compile("的范围"))
    await region.scroll_into_view_if_needed()
    box = await region.bounding_box()
    assert box is not None
    for x, y in [*corners, corners[0]]:
        await page.mouse.move(box["x"] + x, box["y"] + y)
        await page.mouse.click(box["x"] + x, box["y"] + y)


async def test_registrar_files_by_coordinates_and_bureau_approves(desktop: Visit, system: System) -> None:
    page, school = desktop.page, system.organisation.schools[0]
    await sign_in(page, system, school.registrar)
    await page.get_by_role("link", name="办学地址").click()
    await expect(page.get_by_role("link", name="主校区")).to_be_visible()
    assert await desktop.find_barriers() == []
    await page.get_by_role("link", name="备案新地址").click()
    await page.get_by_label("名称", exact=True).fill(NAME)
    await page.get_by_label("地址", exact=True).fill("测试路2号")
    assert await desktop.find_barriers() == []

    await page.get_by_label("输入或粘贴坐标").check()
    await page.get_by_label("坐标系（").select_option("gcj02")
    await page.get_by_role("textbox", name=re.compile("^坐标")).fill(BOWTIE)
    await page.get_by_role("button", name="检查范围").click()
    await expect(page.get_by_text("不能提交，请先改正")).to_be_visible()
    await page.get_by_role("button", name="在地图上看").click()
    await expect(page.get_by_text("问题在这里")).to_be_visible()
    assert await desktop.find_barriers() == []
    await page.get_by_role("textbox", name=re.compile("^坐标")).fill(SQUARE)
    await page.get_by_role("button", name="检查范围").click()
    await expect(page.get_by_text("可以提交：")).to_be_visible()
    await page.get_by_role("button", name="提交备案").click()
    await expect(page.get_by_role("heading", level=1, name=NAME)).to_be_visible()
    await expect(page.get_by_role("heading", name="第 1 版，待审核")).to_be_visible()

    await page.context.clear_cookies()
    await page.evaluate("sessionStorage.clear(); localStorage.clear()")
    await page.goto("about:blank")
    await sign_in(page, system, superior_of(system))
    await page.get_by_role("link", name="办学地址").click()
    await page.get_by_label("按备案情况筛选").select_option("filed")
    await expect(page).to_have_url(re.compile(r"status=filed"))
    await expect(page.get_by_role("link", name="主校区")).to_have_count(0)
    await page.get_by_role("link", name=NAME).click()
    await expect(page.get_by_text(re.compile("实线.*第 1 版，待审核"))).to_be_visible()
    assert await desktop.find_barriers() == []
    await page.get_by_label("批准", exact=True).check()
    await page.get_by_role("button", name="提交审核结论").click()
    await expect(page.get_by_role("heading", name="第 1 版，已批准 (现行有效)")).to_be_visible()


async def test_drawn_version_is_compared_and_returned(desktop: Visit, system: System) -> None:
    page, school = desktop.page, system.organisation.schools[0]
    await sign_in(page, system, school.registrar)
    await page.get_by_role("link", name="办学地址").click()
    await page.get_by_role("link", name="主校区").click()
    await page.get_by_role("link", name="提交新版本").click()
    await expect(page.get_by_text(re.compile("虚线.*第 1 版"))).to_be_visible()
    await page.get_by_role("button", name="绘制多边形").click()
    await draw(page, [(300, 120), (500, 120), (500, 260), (300, 260)])
    await expect(page.get_by_text("已画 1 块，0 个洞，4 个顶点。")).to_be_visible()
    await page.get_by_role("button", name="剪切图层").click()
    await draw(page, [(360, 160), (420, 160), (420, 200), (360, 200)])
    await expect(page.get_by_text("已画 1 块，1 个洞，8 个顶点。")).to_be_visible()
    assert await desktop.find_barriers() == []
    await page.get_by_role("button", name="提交备案").click()
    await expect(page.get_by_role("heading", name="第 2 版，待审核")).to_be_visible()
    await expect(page.get_by_text(re.compile("新版本[大小] "))).to_be_visible()

    site = page.url
    await page.evaluate("sessionStorage.clear(); localStorage.clear()")
    await page.context.clear_cookies()
    await page.goto("about:blank")
    await sign_in(page, system, superior_of(system))
    await page.goto(site)
    await page.get_by_label("退回", exact=True).check()
    await expect(page.get_by_role("button", name="提交审核结论")).to_be_disabled()
    await page.get_by_label("退回理由").fill("请按院墙绘制")
    await page.get_by_role("button", name="提交审核结论").click()
    await expect(page.get_by_role("heading", name="第 2 版，已退回")).to_be_visible()
    await expect(page.get_by_text("请按院墙绘制")).to_be_visible()


async def test_drawn_outline_survives_a_reload_until_it_is_discarded(desktop: Visit, system: System) -> None:
    page, school = desktop.page, system.organisation.schools[1]
    await sign_in(page, system, school.registrar)
    await page.get_by_role("link", name="办学地址").click()
    await page.get_by_role("link", name="主校区").click()
    await page.get_by_role("link", name="提交新版本").click()
    await expect(page.get_by_text(re.compile("虚线.*第 1 版"))).to_be_visible()
    await page.get_by_role("button", name="绘制多边形").click()
    await draw(page, [(300, 120), (500, 120), (500, 260), (300, 260)])
    await expect(page.get_by_text("已画 1 块，0 个洞，4 个顶点。")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("尚未提交的范围")).to_be_visible()
    assert await desktop.find_barriers() == []
    await page.get_by_role("button", name="恢复", exact=True).click()
    await expect(page.get_by_text("已画 1 块，0 个洞，4 个顶点。")).to_be_visible()
    await page.reload()
    await page.get_by_role("button", name="丢弃", exact=True).click()
    await page.reload()
    await expect(page.get_by_role("button", name="绘制多边形")).to_be_visible()
    await expect(page.get_by_text("尚未提交的范围")).to_have_count(0)


async def test_file_is_checked_and_then_edited_on_the_map(desktop: Visit, system: System) -> None:
    page, school = desktop.page, system.organisation.schools[0]
    await sign_in(page, system, school.registrar)
    await page.get_by_role("link", name="办学地址").click()
    await page.get_by_role("link", name="主校区").click()
    await page.get_by_role("link", name="提交新版本").click()
    await page.get_by_label("上传文件").check()
    files = page.locator("input[type=file]")
    await files.set_input_files({"name": "范围.dwg", "mimeType": "image/vnd.dwg", "buffer": b"AC1032"})
    await expect(page.get_by_text("不认识“范围.dwg”的格式")).to_be_visible()
    await expect(page.get_by_role("button", name="提交备案")).to_be_disabled()
    kml = "application/vnd.google-earth.kml+xml"
    await files.set_input_files({"name": "范围.kml", "mimeType": kml, "buffer": KML.encode()})
    await page.get_by_role("button", name="检查范围").click()
    await expect(page.get_by_text("可以提交：")).to_be_visible()
    await expect(page.get_by_text(re.compile("蓝色实线: 本次范围, .*平方米"))).to_be_visible()
    await page.get_by_role("button", name="在地图上编辑").click()
    await expect(page.get_by_text("已画 1 块，0 个洞，4 个顶点。")).to_be_visible()
    assert await desktop.find_barriers() == []
