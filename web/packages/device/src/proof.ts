import { base64url, sha256Base64url, signCompact } from './jws.ts'
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
  return signCompact(
    pair.privateKey,
    { typ: 'dpop+jwt', jwk: { kty, crv, x, y } },
    await proofClaims(request),
  )
}

/** A random identifier of 128 bits. `crypto.randomUUID` is missing in older browsers. */
export function randomId(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(16)))
}
