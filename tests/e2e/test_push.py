"""Browser notifications in Chromium: the offer, the handler of the service worker, and the page that a tap opens.

Chromium reaches no push service here, so the message comes through the browser's protocol, and the tap through an event.
"""

import asyncio
import json
from typing import Any, Self

from playwright.async_api import CDPSession, Page, Worker, expect

from tests.e2e.pages import Visit
from tests.e2e.student_phone import register
from tests.e2e.system import System

_SHOWN = """async ([tag, seconds]) => {
  const registration = await navigator.serviceWorker.ready
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
    const [found] = await registration.getNotifications({ tag })
    if (found) return { title: found.title, body: found.body, page: found.data.page }
    await new Promise((done) => setTimeout(done, 50))
  }
  return null
}"""
_TAP = """async (tag) => {
  const [notification] = await self.registration.getNotifications({ tag })
  self.dispatchEvent(new NotificationEvent('notificationclick', { notification }))
}"""


class PushService:
    """Delivers messages to the app's service worker through the protocol, in place of a push service."""

    def __init__(self, page: Page, protocol: CDPSession, origin: str, registration_id: str) -> None:
        self._page, self._protocol, self._origin = page, protocol, origin
        self._registration_id = registration_id

    @classmethod
    async def connect(cls, page: Page, origin: str) -> Self:
        """Find the registration of the app's service worker."""
        await asyncio.wait_for(page.evaluate("navigator.serviceWorker.ready.then(() => true)"), timeout=60)
        protocol = await page.context.new_cdp_session(page)
        found = asyncio.get_running_loop().create_future()

        def look_for_the_app(event: dict[str, Any]) -> None:
            for each in event["registrations"]:
                if each["scopeURL"] == f"{origin}/m/" and not each["isDeleted"] and not found.done():
                    found.set_result(each["registrationId"])

        protocol.on("ServiceWorker.workerRegistrationUpdated", look_for_the_app)
        await protocol.send("ServiceWorker.enable")
        return cls(page, protocol, origin, await asyncio.wait_for(found, timeout=30))

    async def deliver(self, **payload: str) -> dict[str, str]:
        """Deliver one message, and return the notification that it leads to.

        The browser drops a message whose worker it could not start in time. A push service delivers such a message
        again, and so does this; the tag lets the notification of a second delivery replace the first.
        """
        message = {
            "origin": self._origin,
            "registrationId": self._registration_id,
            "data": json.dumps(payload),
        }
        for _ in range(5):
            await self._protocol.send("ServiceWorker.deliverPushMessage", message)
            shown: dict[str, str] | None = await self._page.evaluate(_SHOWN, [payload["id"], 10])
            if shown:
                return shown
        raise AssertionError(f"the browser shows no notification for {payload['id']}")


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
    assert await push.deliver(kind="roll_call_launched", id="n-1") == {
        "title": "点名",
        "body": "有一次点名等您核验，点开查看截止时间。",
        "page": "/m/",
    }
    assert (await push.deliver(kind="prompt_opened", id="n-2"))["body"] == "您有一条新通知，点开查看。"
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
