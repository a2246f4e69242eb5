import { base64url, SignJWT } from 'jose'

import { publicJwk } from './key.ts'

/** The request that a proof is for. */
export interface ProvenRequest {
  method: string
  /** The address of the request; query and fragment are left out. */
  url: string
  /** The server's time, in milliseconds since the epoch. */
  nowMs: number
  accessToken?: string | undefined
}

/** The claims of a DPoP proof (RFC 9449, 4.2). `ath` is there with an access token only. */
export interface ProofClaims {
  jti: string
  htm: string
  htu: string
  iat: number
  ath?: string
}

/** The claims of a new proof for one request. */
export async function proofClaims(request: ProvenRequest): Promise<ProofClaims> {
  const { origin, pathname } = new URL(request.url)
  return {
    jti: randomId(),
    htm: request.method,
    htu: origin + pathname,
    iat: Math.floor(request.nowMs / 1000),
    ...(request.accessToken === undefined ? {} : { ath: await sha256Base64url(request.accessToken) }),
  }
}

/** Sign a DPoP proof for one request. It can be used once. */
export async function signProof(pair: CryptoKeyPair, request: ProvenRequest): Promise<string> {
  const { kty, crv, x, y } = await publicJwk(pair)
  return new SignJWT({ ...(await proofClaims(request)) })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } })
    .sign(pair.privateKey)
}

/** A random identifier of 128 bits. `crypto.randomUUID` is missing in older browsers. */
export function randomId(): string {
  return base64url.encode(crypto.getRandomValues(new Uint8Array(16)))
}

async function sha256Base64url(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return base64url.encode(new Uint8Array(digest))
}
