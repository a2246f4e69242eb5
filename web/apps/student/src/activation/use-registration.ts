import { ApiError, content } from '@dianming/api'
import { deleteKey, ensureKey, keepStorage } from '@dianming/device'
import { ref } from 'vue'

import { useSession } from '../stores/session.ts'

const STORED = 'dianming.registration'

/** A registration that was started on this phone, as it is kept across reloads. */
export interface OpenRegistration {
  id: string
  /** Milliseconds since the epoch of this device's clock. */
  endsAtMs: number
  /** How a change of phones can be proven, once the code was right. */
  checks: string[]
  code: string
}

/** Read the started registration, unless it has expired. */
export function readRegistration(
  nowMs: number,
  stored = localStorage.getItem(STORED),
): OpenRegistration | undefined {
  if (stored === null) return undefined
  try {
    const { id, endsAtMs, checks, code } = JSON.parse(stored) as Partial<OpenRegistration>
    if (typeof id !== 'string' || typeof endsAtMs !== 'number' || endsAtMs <= nowMs) return undefined
    return { id, endsAtMs, checks: Array.isArray(checks) ? checks : [], code: code ?? '' }
  } catch {
    return undefined
  }
}

/** Registering this phone: name and number, code, and the check of a change of phones. Resumable after a reload. */
export function useRegistration() {
  const session = useSession()
  const open = ref<OpenRegistration | undefined>(readRegistration(Date.now()))

  function keep(next: OpenRegistration | undefined): void {
    open.value = next
    if (next) localStorage.setItem(STORED, JSON.stringify(next))
    else localStorage.removeItem(STORED)
  }

  /** Make a key and ask for a code. A key that was used before is replaced by a new one. */
  async function start(name: string, idNumber: string): Promise<void> {
    if (session.lostBecause !== undefined) await deleteKey()
    await ensureKey()
    void keepStorage()
    const body = { name: name.trim(), id_number: idNumber.trim().toUpperCase() }
    const { registration_id, expires_in } = await content(session.api.POST('/v1/registrations', { body }))
    keep({ id: registration_id, endsAtMs: Date.now() + expires_in * 1000, checks: [], code: '' })
  }

  /** Confirm with the code of the SMS, the code given in person, or both. Returns whether the phone is registered. */
  async function confirm(codes: { code?: string; inPersonCode?: string }): Promise<boolean> {
    const current = open.value
    if (!current) return false
    const code = codes.code ?? (current.code || null)
    try {
      const token = await content(
        session.api.POST('/v1/registrations/{registration_id}/confirmation', {
          params: { path: { registration_id: current.id } },
          body: { code, in_person_code: codes.inPersonCode ?? null },
        }),
      )
      session.register(token)
      keep(undefined)
      return true
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (error.code === 'device_bound_elsewhere') {
        await deleteKey()
        keep(undefined)
      }
      if (error.code !== 'rebinding_check_needed') throw error
      keep({ ...current, code: code ?? '', checks: [...error.checks] })
      return false
    }
  }

  /** Send a picture for the check of a change of phones. */
  async function sendFace(picture: Blob): Promise<void> {
    const form = new FormData()
    form.append('shots', picture, 'shot.jpg')
    await session.api.POST('/v1/registrations/{registration_id}/face', {
      params: { path: { registration_id: open.value?.id ?? '' } },
      body: form as never,
      bodySerializer: (body) => body as never,
    })
  }

  /** How far the check of the face is. */
  function getState() {
    const path = { registration_id: open.value?.id ?? '' }
    return content(session.api.GET('/v1/registrations/{registration_id}', { params: { path } }))
  }

  const restart = () => keep(undefined)
  return { open, start, confirm, sendFace, getState, restart }
}
