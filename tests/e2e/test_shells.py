"""The shells of both apps load under the content security policy, are accessible, and start without a network."""

import pytest
from playwright.async_api import expect

from backend.core.web.security_headers import CONTENT_SECURITY_POLICY
from tests.e2e.camera import FakeCamera, plain_picture
from tests.e2e.pages import Visit

PAGES = {"/m/": "注册本机", "/c/": "登录"}  # the installable ones
DOCUMENT_PAGES = ("/staff/docs", "/mobile/docs")


@pytest.mark.parametrize(("path", "heading"), PAGES.items())
async def test_shell_loads_under_the_policy_without_barriers(phone: Visit, path: str, heading: str) -> None:
    answer = await phone.page.goto(path)
    assert answer is not None
    assert (await answer.all_headers())["content-security-policy"] == CONTENT_SECURITY_POLICY
    await expect(phone.page.get_by_role("heading", level=1)).to_have_text(heading)
    assert await phone.find_barriers() == []


@pytest.mark.parametrize("path", DOCUMENT_PAGES)
async def test_api_documents_load_under_the_policy(desktop: Visit, path: str) -> None:
    await desktop.page.goto(path)
    await expect(desktop.page.locator("#swagger-ui .info .title")).to_contain_text("点名")


@pytest.mark.parametrize(("path", "heading"), PAGES.items())
async def test_shell_starts_without_a_network(phone: Visit, path: str, heading: str) -> None:
    await phone.page.goto(path)
    await phone.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await phone.page.reload()
    await phone.page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    await phone.context.set_offline(True)
    await phone.page.reload()
    await expect(phone.page.get_by_role("heading", level=1)).to_have_text(heading)


async def test_unknown_page_leads_back(phone: Visit) -> None:
    await phone.page.goto("/c/nowhere")
    await phone.page.get_by_role("button", name="回到首页").click()
    await expect(phone.page.get_by_role("heading", level=1)).to_have_text("登录")


_BRIGHTNESS = """async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true })
  const video = document.createElement('video')
  Object.assign(video, { srcObject: stream, muted: true })
  await video.play()
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  window.brightness = () => {
    context.drawImage(video, 0, 0, 1, 1)
    return context.getImageData(0, 0, 1, 1).data[0]
  }
  return window.brightness()
}"""


async def test_camera_of_the_tests_shows_what_a_test_shows_it(phone: Visit, camera: FakeCamera) -> None:
    await phone.page.goto("/m/")
    camera.show(plain_picture((40, 40, 40)))
    assert abs(await phone.page.evaluate(_BRIGHTNESS) - 40) < 10
    for value in (200, 120):
        camera.show(plain_picture((value, value, value)))
        await phone.page.wait_for_function("value => Math.abs(brightness() - value) < 10", arg=value)
