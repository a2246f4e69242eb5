"""Browser notifications in Chromium: the offer, the handler of the service worker, and the page that a tap opens.

Chromium reaches no push service here, so the message comes through the browser's protocol, and the tap through an event.
"""

import json
from typing import Self

from playwright.async_api import CDPSession, Page, Worker, expect

from tests.e2e.pages import Visit
from tests.e2e.student_phone import register
from tests.e2e.system import System

_SHOWN = """async () => {
  const all = await (await navigator.serviceWorker.ready).getNotifications()
  return all.map(({ title, body, tag, data }) => ({ title, body, tag, page: data.page }))
}"""
_NEXT_FRAME = "new Promise((done) => requestAnimationFrame(done))"
_TAP = """async (tag) => {
  const [notification] = await self.registration.getNotifications({ tag })
  self.dispatchEvent(new NotificationEvent('notificationclick', { notification }))
}"""


class PushService:
    """Delivers messages to the app's service worker through the protocol, in place of a push service."""

    def __init__(self, protocol: CDPSession, origin: str, registration_id: str) -> None:
        self._protocol, self._origin, self._registration_id = protocol, origin, registration_id

    @classmethod
    async def connect(cls, page: Page, origin: str) -> Self:
        """Find the registration of the page's service worker."""
        await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        protocol = await page.context.new_cdp_session(page)
        found = list[str]()
        protocol.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: found.extend(each["registrationId"] for each in event["registrations"]),
        )
        await protocol.send("ServiceWorker.enable")
        while not found:
            await page.evaluate(_NEXT_FRAME)
        return cls(protocol, origin, found[-1])

    async def deliver(self, **payload: str) -> None:
        """Deliver one message."""
        message = {
            "origin": self._origin,
            "registrationId": self._registration_id,
            "data": json.dumps(payload),
        }
        await self._protocol.send("ServiceWorker.deliverPushMessage", message)


async def notification(page: Page, tag: str) -> dict[str, str]:
    """The notification that is shown under a tag, once it is."""
    while True:
        shown: list[dict[str, str]] = await page.evaluate(_SHOWN)
        if found := [each for each in shown if each.pop("tag") == tag]:
            return found[0]
        await page.evaluate(_NEXT_FRAME)


async def tap(worker: Worker, tag: str) -> None:
    """Tap the notification."""
    await worker.evaluate(_TAP, tag)


async def test_a_message_is_shown_and_opens_its_page(phone: Visit, system: System) -> None:
    page = phone.page
    await phone.context.grant_permissions(["notifications", "camera", "geolocation"], origin=system.url)
    await register(
        page, system, system.full_time_students(1)[-6]
    )  # other tests bind the phones of the first ones
    push = await PushService.connect(page, system.url)
    await push.deliver(kind="roll_call_launched", id="n-1")
    assert await notification(page, "n-1") == {
        "title": "点名",
        "body": "有一次点名等您核验，点开查看截止时间。",
        "page": "/m/",
    }
    await push.deliver(kind="prompt_opened", id="n-2")
    assert (await notification(page, "n-2"))["body"] == "您有一条新通知，点开查看。"
    (worker,) = phone.context.service_workers
    await tap(worker, "n-2")
    await expect(page.get_by_role("heading", level=1)).to_have_text("消息")


async def test_the_offer_says_why_and_what_to_do_where_it_is_impossible(phone: Visit, system: System) -> None:
    page = phone.page
    roster = [each for each in system.organisation.schools[1].roster if each["学习形式"] == "全日制"]
    await register(page, system, roster[2])
    await page.goto("/m/notices")
    offer = page.get_by_role("region", name="手机通知")
    await expect(offer.get_by_text("浏览器禁止了通知")).to_be_visible()
    await phone.context.grant_permissions(["notifications"], origin=system.url)
    await page.reload()
    await expect(offer.get_by_text("浏览器会询问一次")).to_be_visible()
    assert await phone.find_barriers() == []
    await offer.get_by_role("button", name="开启手机通知").click()
    await expect(offer.get_by_text("手机连不上浏览器的推送服务")).to_be_visible()
