import { deleteKey, DeviceSession, loadKey, ServerClock } from '@dianming/device'
import { createMobileClient } from '@dianming/api/mobile'
import { defineStore } from 'pinia'
import { markRaw, ref } from 'vue'

import { language } from '../i18n.ts'

/** Whether this phone is registered, its credentials, the server's clock, and the API. */
export const useSession = defineStore('session', () => {
  const isRegistered = ref<boolean>()
  const lostBecause = ref<string>()
  // Raw, because a proxy has no access to private fields.
  const clock = markRaw(new ServerClock())
  const device = markRaw(
    new DeviceSession(clock, {
      language,
      onKeyLost(code) {
        isRegistered.value = false
        lostBecause.value = code
      },
    }),
  )
  const api = markRaw(createMobileClient(device))

  /** Look once whether this phone has a key of a confirmed registration. Rejects with `StorageRefused`. */
  async function load(): Promise<boolean> {
    isRegistered.value ??= localStorage.getItem(REGISTERED) !== null && (await loadKey()) !== undefined
    return isRegistered.value
  }

  /** Take the token of a confirmed registration. */
  function register(token: { access_token: string; expires_in: number }): void {
    device.accept(token)
    localStorage.setItem(REGISTERED, 'yes')
    isRegistered.value = true
    lostBecause.value = undefined
  }

  /** End the notifications and delete the key. The phone has to be registered again, with a new one. */
  async function signOut(): Promise<void> {
    // Without a network the browser's own subscription ends nevertheless, and the server learns it from the push service.
    await (await import('../push/push.ts')).signOff(api)
    await deleteKey()
    device.forget()
    localStorage.removeItem(REGISTERED)
    isRegistered.value = false
    lostBecause.value = undefined
  }

  return { isRegistered, lostBecause, clock, device, api, load, register, signOut }
})

const REGISTERED = 'dianming.registered'
