import { expect, it, vi } from 'vitest'

import { notificationOf } from '../src/push/notification.ts'
import { keyBytes, renew, signOff } from '../src/push/push.ts'

it.each([
  ['roll_call_launched', '/m/', '有一次点名等您核验，点开查看截止时间。'],
  ['roll_call_urged', '/m/', '有一次点名等您核验，点开查看截止时间。'],
  ['roll_call_voided', '/m/notices', '您有一条新通知，点开查看。'],
  ['prompt_opened', '/m/notices', '您有一条新通知，点开查看。'],
])('a %s opens %s', (kind, page, body) => {
  expect(notificationOf({ kind, id: 'n1' }, 'zh-CN')).toEqual({
    title: '点名',
    body,
    tag: 'n1',
    page,
    lang: 'zh-CN',
  })
})

it.each([undefined, null, 'text', 7, {}, { kind: 1, id: 2 }])('shows %j as a notice', (payload) => {
  expect(notificationOf(payload, 'de')).toMatchObject({ title: 'Dianming', page: '/m/notices', lang: 'en' })
})

it('reads a key in base64url', () => {
  expect([...keyBytes('-_8A')]).toEqual([251, 255, 0])
})

/** A browser with a subscription, and a server that answers. */
function phone(answers: boolean) {
  const unsubscribe = vi.fn().mockResolvedValue(true)
  const subscription = {
    unsubscribe,
    toJSON: () => ({ endpoint: 'https://push.example/a', keys: { p256dh: 'p', auth: 'a' } }),
  }
  vi.stubGlobal('PushManager', () => undefined)
  vi.stubGlobal('Notification', { permission: 'granted' })
  const registration = { pushManager: { getSubscription: () => Promise.resolve(subscription) } }
  vi.stubGlobal('navigator', { serviceWorker: { getRegistration: () => Promise.resolve(registration) } })
  const answer = answers
    ? Promise.resolve({ data: {}, response: new Response() })
    : Promise.reject(new Error())
  const api = { PUT: vi.fn(() => answer), DELETE: vi.fn(() => answer) }
  return { unsubscribe, api }
}

it('renews at most once a day', async () => {
  localStorage.clear()
  const { api } = phone(true)
  const now = Date.now()
  await renew(api as never, now)
  await renew(api as never, now + 1000)
  expect(api.PUT).toHaveBeenCalledOnce()
  expect(api.PUT).toHaveBeenCalledWith('/v1/me/push-subscription', {
    body: { endpoint: 'https://push.example/a', keys: { p256dh: 'p', auth: 'a' } },
  })
  await renew(api as never, now + 25 * 3600 * 1000)
  expect(api.PUT).toHaveBeenCalledTimes(2)
})

it('signing out ends the subscription, also without a network', async () => {
  const { api, unsubscribe } = phone(false)
  await signOff(api as never)
  expect(api.DELETE).toHaveBeenCalled()
  expect(unsubscribe).toHaveBeenCalled()
})
