import { createStaffClient, StaffSession } from '@dianming/api/staff'
import { defineStore } from 'pinia'
import { ref } from 'vue'

import { language } from '../i18n.ts'

/** Whether a member of staff is signed in, and the API. */
export const useSession = defineStore('session', () => {
  const staff = new StaffSession({ language, onEnd: () => (isSignedIn.value = false) })
  const isSignedIn = ref(staff.isSignedIn)
  const api = createStaffClient(staff)

  /** Sign in. Rejects with `ApiError`. */
  async function signIn(login: string, password: string, totp: string): Promise<void> {
    await staff.signIn({ login, password, totp })
    isSignedIn.value = true
  }

  /** End the session at the server and forget the tokens, even if the server cannot be reached. */
  async function signOut(): Promise<void> {
    try {
      await api.DELETE('/v1/sessions/current')
    } finally {
      staff.forget()
    }
  }

  return { isSignedIn, api, signIn, signOut }
})
