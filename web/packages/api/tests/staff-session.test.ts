import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { clientError } from '../src/index.ts'
import { StaffSession } from '../src/staff.ts'

const onEnd = vi.fn()
const TOKENS = {
  access_token: 'a1',
  expires_in: 600,
  device_token: 'd1',
  token_type: 'Bearer',
}

function answers(...bodies: [number, object][]) {
  const asked = vi.fn(async (_path: string, _init: RequestInit) => {
    const [status, body] = bodies.shift() ?? [500, {}]
    const type = status < 400 ? 'application/json' : 'application/problem+json'
    return new Response(status === 204 ? null : JSON.stringify(body), {
      status,
      headers: { 'Content-Type': type },
    })
  })
  vi.stubGlobal('fetch', asked)
  return asked
}

const sent = (asked: ReturnType<typeof answers>, n: number) =>
  JSON.parse(String(asked.mock.calls[n]?.[1].body)) as Record<string, unknown>
const newSession = () => new StaffSession({ language: () => 'zh-CN', onEnd })
const refused = (token: string) =>
  new Request('http://localhost:3000/x', { headers: { Authorization: `Bearer ${token}` } })
const expired = () => clientError('answer_unreadable', 401)

async function bearer(session: StaffSession) {
  const request = new Request('http://localhost:3000/staff/v1/me')
  await session.authorize(request)
  return request.headers.get('Authorization')
}

beforeEach(() => localStorage.clear())
afterEach(() => {
  vi.unstubAllGlobals()
  vi.clearAllMocks()
})

describe('a session of staff', () => {
  const body = { login: 'a.b', password: 'p', totp: '123456' }

  it('signs in, and sends the token of the device the next time', async () => {
    const asked = answers([201, TOKENS], [201, TOKENS])
    const session = newSession()
    await session.signIn(body)
    await session.signIn({ ...body, totp: '123457' })
    expect(await bearer(session)).toBe('Bearer a1')
    expect(asked.mock.calls[0]?.[0]).toBe('/staff/v1/browser-sessions')
    expect(sent(asked, 0)['device_token']).toBeUndefined()
    expect(sent(asked, 1)['device_token']).toBe('d1')
  })

  it('goes on after a reload by the cookie, with no secret of the session in the storage', async () => {
    const asked = answers([201, TOKENS], [200, { ...TOKENS, access_token: 'a2', device_token: null }])
    await newSession().signIn(body)
    expect(JSON.stringify({ ...localStorage })).not.toContain('a1')
    const reloaded = newSession()
    expect(reloaded.isSignedIn).toBe(true)
    expect(await bearer(reloaded)).toBe('Bearer a2')
    expect(asked.mock.calls[1]?.[0]).toBe('/staff/v1/browser-sessions/refresh')
    expect(asked.mock.calls[1]?.[1].body).toBeNull()
  })

  it('renews once for requests that are refused together', async () => {
    const asked = answers([201, TOKENS], [200, { ...TOKENS, access_token: 'a2' }])
    const session = newSession()
    await session.signIn(body)
    const both = [session.recover(expired(), refused('a1')), session.recover(expired(), refused('a1'))]
    expect(await Promise.all(both)).toEqual([true, true])
    expect(asked).toHaveBeenCalledTimes(2)
    expect(await bearer(session)).toBe('Bearer a2')
    expect(await session.recover(expired(), refused('a1'))).toBe(true)
    expect(asked).toHaveBeenCalledTimes(2)
  })

  it('ends when the server refuses to renew it', async () => {
    answers([201, TOKENS], [401, { code: 'session_revoked' }])
    const session = newSession()
    await session.signIn(body)
    expect(await session.recover(expired(), refused('a1'))).toBe(false)
    expect([session.isSignedIn, onEnd.mock.calls.length]).toEqual([false, 1])
  })

  it('is not ended by a server that cannot be reached', async () => {
    answers([201, TOKENS], [503, { code: 'database_away' }])
    const session = newSession()
    await session.signIn(body)
    await expect(session.recover(expired(), refused('a1'))).rejects.toMatchObject({ status: 503 })
    expect(session.isSignedIn).toBe(true)
  })

  it('is ended at the server, and in the other tabs', async () => {
    const asked = answers([201, TOKENS], [204, {}])
    const session = newSession()
    await session.signIn(body)
    await session.signOut()
    expect(asked.mock.calls[1]).toEqual([
      '/staff/v1/browser-sessions/current',
      expect.objectContaining({ method: 'DELETE' }),
    ])
    expect(session.isSignedIn).toBe(false)
    const other = newSession()
    dispatchEvent(new StorageEvent('storage', { key: 'dianming.staff.signed-in', newValue: null }))
    expect([other.isSignedIn, onEnd.mock.calls.length > 1]).toEqual([false, true])
  })

  it('signs in with a passkey, and does nothing if the person cancels', async () => {
    const options = { challenge: 'c1', rpId: 'localhost', userVerification: 'required' }
    const credential = { id: 'k1', rawId: 'k1', type: 'public-key' as const, response: {} as never }
    const asked = answers([200, options], [200, options], [201, TOKENS])
    const session = newSession()
    expect(await session.signInWithPasskey(() => Promise.resolve(undefined))).toBe(false)
    expect([session.isSignedIn, asked.mock.calls.length]).toEqual([false, 1])
    expect(await session.signInWithPasskey(() => Promise.resolve(credential))).toBe(true)
    expect(sent(asked, 2)).toEqual({ credential })
    expect(await bearer(session)).toBe('Bearer a1')
  })
})
