import { signCompact } from './jws.ts'
import { publicJwk } from './key.ts'
import type { Fix } from './position.ts'
import type { ProofClaims } from './proof.ts'

const TYPE = 'dianming-check-in+jws'

/** A picture that will follow the envelope: the hex SHA-256 and size of its bytes, milliseconds since the burst began. */
export interface FrameDigest {
  sha256: string
  size: number
  at_ms: number
}

/** What a check-in claims: the answered challenge, where the phone is, and which pictures will follow. */
export interface CheckIn {
  rollCallId: string
  nonce: string
  fixes: readonly Fix[]
  frames: readonly FrameDigest[]
  /** What the app says about itself; never trusted. */
  claims: Readonly<Record<string, unknown>>
}

/**
 * Sign a check-in. The result is sent as it is, also when it is sent again: another signature is another envelope.
 *
 * With `proof`, the claims of a proof for its request, the first send needs no header `DPoP` (docs/adr/0019).
 */
export async function signEnvelope(
  pair: CryptoKeyPair,
  checkIn: CheckIn,
  signedAtMs: number,
  proof?: ProofClaims,
): Promise<string> {
  const content = {
    ...proof,
    roll_call: checkIn.rollCallId,
    nonce: checkIn.nonce,
    fixes: checkIn.fixes.map(({ takenAtMs, ...fix }) => ({
      ...fix,
      age_s: Math.max(0, signedAtMs - takenAtMs) / 1000,
    })),
    frames: checkIn.frames.map(({ sha256, size, at_ms }) => ({ sha256, size, at_ms })),
    claims: checkIn.claims,
  }
  const jwk = proof === undefined ? {} : { jwk: { ...(await publicJwk(pair)) } }
  return signCompact(pair.privateKey, { typ: TYPE, ...jwk }, content)
}
