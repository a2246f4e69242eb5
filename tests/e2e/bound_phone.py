"""A browser that is the phone of a student of the seeded scenario: it has the key that the scenario bound."""

import base64

from playwright.async_api import Page, expect

from backend.demo.phone import Phone

_STORE_KEY = """async (jwk) => {
  const p256 = { name: 'ECDSA', namedCurve: 'P-256' }
  const { d, ...open } = jwk
  const pair = {
    privateKey: await crypto.subtle.importKey('jwk', jwk, p256, false, ['sign']),
    publicKey: await crypto.subtle.importKey('jwk', open, p256, true, ['verify']),
  }
  const wait = (request) => new Promise((done, fail) => {
    request.onsuccess = () => done(request.result)
    request.onerror = () => fail(request.error)
  })
  const database = await wait(indexedDB.open('dianming'))
  await wait(database.transaction('keys', 'readwrite').objectStore('keys').put(pair, 'device'))
  database.close()
  localStorage.setItem('dianming.registered', 'yes')
}"""


async def install_key(page: Page, phone: Phone) -> None:
    """Store the key of a registered phone in the browser, where the student's app looks for it."""
    await page.goto("/m/welcome")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    secret = phone.key.private_numbers().private_value.to_bytes(32, "big")
    d = base64.urlsafe_b64encode(secret).decode().rstrip("=")
    await page.evaluate(_STORE_KEY, {**phone.jwk, "d": d})
