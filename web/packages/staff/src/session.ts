import { followStream, type StreamOptions } from '@dianming/api'
import { createStaffClient, StaffSession } from '@dianming/api/staff'
import { ServerClock } from '@dianming/device'
import { currentLanguage } from '@dianming/i18n'
import { defineStore } from 'pinia'
import { markRaw, ref } from 'vue'

import { askForPasskey } from './passkeys.ts'

type Stream = Pick<StreamOptions, 'signal' | 'onEvent' | 'onState'>

/** Whether a member of staff is signed in, the API, and the server's clock. */
export const useSession = defineStore('session', () => {
  // Private fields do not work through the proxies of reactive objects.
  const clock = markRaw(new ServerClock())
  const staff = new StaffSession({
    language: currentLanguage,
    onEnd: () => (isSignedIn.value = false),
    observe: (response, sentAtMs) => clock.observe(response, sentAtMs),
  })
  const isSignedIn = ref(staff.isSignedIn)
  const api = createStaffClient(staff)

  /** Sign in. Rejects with `ApiError`. */
  async function signIn(login: string, password: string, totp: string): Promise<void> {
    await staff.signIn({ login, password, totp })
    isSignedIn.value = true
  }

  /** Sign in with a passkey of this device. Returns false if the person cancelled. Rejects with `ApiError`. */
  async function signInWithPasskey(): Promise<boolean> {
    isSignedIn.value = (await staff.signInWithPasskey(askForPasskey)) || isSignedIn.value
    return isSignedIn.value
  }

  /** Follow a stream of the API, given by its path below `/staff`. */
  function follow(path: string, stream: Stream): Promise<void> {
    return followStream({ ...stream, url: `/staff${path}`, hooks: staff })
  }

  return { isSignedIn, api, clock, signIn, signInWithPasskey, signOut: () => staff.signOut(), follow }
})
