import 'fake-indexeddb/auto'

import { decodeJwt } from 'jose'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { ServerClock } from '../src/clock.ts'
import { deleteKey, ensureKey } from '../src/key.ts'
import { DeviceSession } from '../src/session.ts'

const ME = 'http://localhost:3000/mobile/v1/me'
const onKeyLost = vi.fn()
let session: DeviceSession

function answers(...bodies: [number, object][]) {
  const asked = vi.fn(async (_: Request) => {
    const [status, body] = bodies.shift() ?? [500, {}]
    return new Response(JSON.stringify(body), { status })
  })
  vi.stubGlobal('fetch', asked)
  return asked
}

async function authorized(url = ME) {
  const request = new Request(url)
  await session.authorize(request)
  return request.headers
}

beforeEach(async () => {
  session = new DeviceSession(new ServerClock(), { language: () => 'zh-CN', onKeyLost })
  await ensureKey()
})
afterEach(async () => {
  vi.unstubAllGlobals()
  vi.clearAllMocks()
  await deleteKey()
})

describe('authorising a request', () => {
  it('gets a token once for concurrent requests, with a proof alone', async () => {
    const asked = answers([200, { access_token: 'one', expires_in: 600 }])
    const all = await Promise.all([authorized(), authorized()])
    expect(all.map((headers) => headers.get('Authorization'))).toEqual(['DPoP one', 'DPoP one'])
    expect(asked).toHaveBeenCalledTimes(1)
    const request = asked.mock.calls[0]?.[0]
    expect(request?.headers.get('Authorization')).toBeNull()
    expect(decodeJwt(request?.headers.get('DPoP') ?? '')['ath']).toBeUndefined()
  })

  it('sends a registration with a proof and no token', async () => {
    const asked = answers()
    const headers = await authorized('http://localhost:3000/mobile/v1/registrations')
    expect(headers.get('DPoP')).not.toBeNull()
    expect(headers.get('Authorization')).toBeNull()
    expect(asked).not.toHaveBeenCalled()
  })

  it('gets a new token before the old one ends', async () => {
    answers([200, { access_token: 'two', expires_in: 600 }])
    session.accept({ access_token: 'one', expires_in: 5 })
    expect((await authorized()).get('Authorization')).toBe('DPoP two')
  })
})

describe('a request that is its own proof', () => {
  const PATH = '/mobile/v1/roll-calls/r/envelopes'

  it('is sent once without the header, and after a refusal with one', async () => {
    session.accept({ access_token: 'one', expires_in: 600 })
    session.expectOwnProof(PATH)
    const [first, second] = [1, 2].map(() => new Request(`http://localhost:3000${PATH}`, { method: 'POST' }))
    if (!first || !second) throw new Error('two requests')
    await session.authorize(first)
    expect([first.headers.get('DPoP'), first.headers.get('Authorization')]).toEqual([null, 'DPoP one'])
    expect(await session.recover({ code: 'proof_ath_wrong', status: 401 }, first)).toBe(true)
    await session.authorize(second)
    expect(second.headers.get('DPoP')).not.toBeNull()
    expect(await session.recover({ code: 'proof_ath_wrong', status: 401 }, second)).toBe(false)
  })

  it('has the claims of a proof with the hash of the token', async () => {
    session.accept({ access_token: 'one', expires_in: 600 })
    const claims = await session.claimsFor('POST', PATH)
    expect(claims).toMatchObject({
      htm: 'POST',
      htu: `http://localhost:3000${PATH}`,
      ath: expect.any(String),
    })
  })
})

describe('a refused request', () => {
  it('is sent again with the time of the server', async () => {
    const serverTimeMs = Date.now() + 180_000
    expect(await session.recover({ code: 'proof_clock_wrong', serverTimeMs })).toBe(true)
    session.accept({ access_token: 'one', expires_in: 600 })
    const proof = decodeJwt((await authorized()).get('DPoP') ?? '')
    expect(Math.abs((proof.iat ?? 0) * 1000 - serverTimeMs)).toBeLessThan(2000)
  })

  it('is sent again with a new token after the old one expired', async () => {
    answers([200, { access_token: 'two', expires_in: 600 }])
    expect(await session.recover({ code: 'token_expired' })).toBe(true)
  })

  it.each(['key_revoked', 'phone_replaced'])('tells the app about %s', async (code) => {
    expect(await session.recover({ code })).toBe(false)
    expect(onKeyLost).toHaveBeenCalledWith(code)
  })

  it('is not sent again for any other reason', async () => {
    expect(await session.recover({ code: 'not_found' })).toBe(false)
  })
})
