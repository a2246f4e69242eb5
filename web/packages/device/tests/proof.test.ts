import 'fake-indexeddb/auto'

import { base64url, calculateJwkThumbprint, compactVerify, decodeProtectedHeader, importJWK } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'

import { signEnvelope } from '../src/envelope.ts'
import { deleteKey, ensureKey, loadKey, publicJwk, thumbprint } from '../src/key.ts'
import { signProof } from '../src/proof.ts'

const NOW = Date.parse('2026-03-02T00:00:00.900Z')

async function opened(jws: string, pair: CryptoKeyPair) {
  const { payload } = await compactVerify(jws, await importJWK({ ...(await publicJwk(pair)) }, 'ES256'))
  return JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>
}

beforeEach(deleteKey)

describe('the key of the device', () => {
  it('cannot be exported and is the same after it is loaded again', async () => {
    const made = await ensureKey()
    const loaded = await loadKey()
    expect(made.privateKey.extractable).toBe(false)
    expect(loaded && (await thumbprint(loaded))).toBe(await thumbprint(made))
    expect(await thumbprint(await ensureKey())).toBe(await thumbprint(made))
  })

  it('has the thumbprint of RFC 7638', async () => {
    const pair = await ensureKey()
    expect(await thumbprint(pair)).toBe(await calculateJwkThumbprint(await publicJwk(pair)))
  })
})

describe('a proof', () => {
  it('names method, address without query, time in whole seconds and the public key', async () => {
    const pair = await ensureKey()
    const proof = await signProof(pair, {
      method: 'GET',
      url: 'https://dm.example/mobile/v1/me?a=1#b',
      nowMs: NOW,
    })
    const claims = await opened(proof, pair)
    const expected = { htm: 'GET', htu: 'https://dm.example/mobile/v1/me', iat: 1772409600 }
    expect(claims).toEqual({ ...expected, jti: expect.any(String) })
    const header = decodeProtectedHeader(proof)
    expect(header).toEqual({ typ: 'dpop+jwt', alg: 'ES256', jwk: await publicJwk(pair) })
  })

  it('has the hash of the access token, and a new identifier each time', async () => {
    const pair = await ensureKey()
    const request = { method: 'GET', url: 'https://dm.example/x', nowMs: NOW, accessToken: 'token' }
    const [one, other] = [
      await opened(await signProof(pair, request), pair),
      await opened(await signProof(pair, request), pair),
    ]
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode('token'))
    expect(one['ath']).toBe(base64url.encode(new Uint8Array(digest)))
    expect(one['jti']).not.toBe(other['jti'])
  })
})

describe('an envelope', () => {
  it('that is its own proof has the public key and the claims of the proof', async () => {
    const pair = await ensureKey()
    const proof = { jti: 'j', htm: 'POST', htu: 'https://dm.example/x', iat: 1, ath: 'h' }
    const checkIn = { rollCallId: 'r', nonce: 'n', fixes: [], frames: [], claims: {} }
    const envelope = await signEnvelope(pair, checkIn, NOW, proof)
    expect(decodeProtectedHeader(envelope).jwk).toEqual(await publicJwk(pair))
    expect(await opened(envelope, pair)).toMatchObject({ ...proof, roll_call: 'r' })
  })

  it('states the age of each fix when it was signed, and no device time', async () => {
    const pair = await ensureKey()
    const fix = { lon: 113.5, lat: 34.8, accuracy_m: 18, datum: 'wgs84' as const, takenAtMs: NOW - 1500 }
    const frame = { sha256: '0'.repeat(64), size: 10, at_ms: 0, bytes: new ArrayBuffer(10) }
    const checkIn = { rollCallId: 'r', nonce: 'n', fixes: [fix], frames: [frame], claims: { app: 'web' } }
    const envelope = await signEnvelope(pair, checkIn, NOW)
    expect(decodeProtectedHeader(envelope)).toEqual({ typ: 'dianming-check-in+jws', alg: 'ES256' })
    expect(await opened(envelope, pair)).toEqual({
      roll_call: 'r',
      nonce: 'n',
      fixes: [{ lon: 113.5, lat: 34.8, accuracy_m: 18, datum: 'wgs84', age_s: 1.5 }],
      frames: [{ sha256: '0'.repeat(64), size: 10, at_ms: 0 }],
      claims: { app: 'web' },
    })
  })
})
