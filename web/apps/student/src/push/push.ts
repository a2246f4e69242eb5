import { content } from '@dianming/api'
import type { createMobileClient, MobileSchemas } from '@dianming/api/mobile'

type Api = ReturnType<typeof createMobileClient>
type PushState = MobileSchemas['PushStateOut']

const PATH = '/v1/me/push-subscription'
const RENEWED = 'dianming.push-renewed'
const RENEW_EVERY_MS = 24 * 3600 * 1000

/** Why this browser cannot notify: it has no push at all, or the person refused it before. */
export type PushObstacle = 'unsupported' | 'refused'

/** The browser asked its push service in vain: in the mainland many phones do not reach it. */
export class PushFailed extends Error {
  override readonly name = 'PushFailed'
}

export function pushObstacle(): PushObstacle | undefined {
  if (!('PushManager' in window) || !('Notification' in window) || !('serviceWorker' in navigator)) {
    return 'unsupported'
  }
  return Notification.permission === 'denied' ? 'refused' : undefined
}

/** Ask for the permission, which browsers allow only after a tap, and subscribe. False: the person said no. */
export async function switchOn(api: Api, publicKey: string): Promise<boolean> {
  if ((await Notification.requestPermission()) !== 'granted') return false
  const registration = await navigator.serviceWorker.ready
  let subscription: PushSubscription
  try {
    subscription = await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: keyBytes(publicKey),
    })
  } catch (cause) {
    throw new PushFailed('no subscription', { cause })
  }
  await save(api, subscription)
  return true
}

/** End the notifications, on the server and in the browser. */
export async function switchOff(api: Api): Promise<void> {
  await content(api.DELETE(PATH))
  await (await currentSubscription())?.unsubscribe()
  localStorage.removeItem(RENEWED)
}

/** End the notifications as far as possible now; never rejects. */
export async function signOff(api: Api): Promise<void> {
  const ends = [
    currentSubscription().then((subscription) => subscription?.unsubscribe()),
    content(api.DELETE(PATH)),
  ]
  await Promise.allSettled(ends)
  localStorage.removeItem(RENEWED)
}

/** Tell the server once a day that this phone still wants notifications; it forgets phones that do not. */
export async function renew(api: Api, nowMs: number): Promise<void> {
  if (nowMs - Number(localStorage.getItem(RENEWED) ?? 0) < RENEW_EVERY_MS) return
  const subscription = await currentSubscription()
  if (subscription) await save(api, subscription)
}

/** Whether the server's state fits the browser's: after clearing its data a browser has no subscription any more. */
export async function isReceiving(state: PushState): Promise<boolean> {
  return state.subscribed && (await currentSubscription()) !== undefined
}

async function save(api: Api, subscription: PushSubscription): Promise<void> {
  const { endpoint, keys } = subscription.toJSON()
  if (!endpoint || !keys?.['p256dh'] || !keys['auth']) throw new PushFailed('a subscription without keys')
  const body = { endpoint, keys: { p256dh: keys['p256dh'], auth: keys['auth'] } }
  await content(api.PUT(PATH, { body }))
  localStorage.setItem(RENEWED, String(Date.now()))
}

async function currentSubscription(): Promise<PushSubscription | undefined> {
  if (pushObstacle() !== undefined) return undefined
  const registration = await navigator.serviceWorker.getRegistration()
  return (await registration?.pushManager.getSubscription()) ?? undefined
}

/** The bytes of base64url, which older browsers need in place of the text. */
export function keyBytes(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replace(/-/g, '+').replace(/_/g, '/'))
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
