import { sha256Base64url } from './jws.ts'
import { openStore, StorageRefused } from './store.ts'

const DEVICE = 'device'
const P256: EcKeyGenParams = { name: 'ECDSA', namedCurve: 'P-256' }

/** The public part of a device key, as proofs contain it (RFC 7517). */
export interface PublicJwk {
  kty: 'EC'
  crv: 'P-256'
  x: string
  y: string
}

/** The key of this device, or undefined if it has none: never registered, or the browser deleted its data. */
export async function loadKey(): Promise<CryptoKeyPair | undefined> {
  return (await openStore()).get('keys', DEVICE)
}

/**
 * Create a P-256 key whose private part no script can read, and store it. A key that exists is kept.
 * Rejects with `StorageRefused` where the browser cannot keep one.
 */
export async function ensureKey(): Promise<CryptoKeyPair> {
  const stored = await loadKey()
  if (stored) return stored
  const made = await crypto.subtle.generateKey(P256, false, ['sign', 'verify'])
  const store = await openStore()
  try {
    await store.add('keys', made, DEVICE)
  } catch (cause) {
    const other = await loadKey() // another tab was faster
    if (other) return other
    throw new StorageRefused('the key cannot be stored', { cause })
  }
  return made
}

/** Delete the key, for a new registration after it was revoked. */
export async function deleteKey(): Promise<void> {
  await (await openStore()).delete('keys', DEVICE)
}

/** Ask the browser not to delete the data of this origin under storage pressure. Returns its answer. */
export async function keepStorage(): Promise<boolean> {
  const storage = (navigator as { storage?: StorageManager }).storage
  return (await storage?.persist?.()) ?? false
}

/** The public part of a key, without the members that WebCrypto adds. */
export async function publicJwk(pair: CryptoKeyPair): Promise<PublicJwk> {
  const { x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  if (x === undefined || y === undefined) throw new TypeError('not an elliptic curve key')
  return { kty: 'EC', crv: 'P-256', x, y }
}

/** The thumbprint of a key (RFC 7638), base64url of its SHA-256. */
export async function thumbprint(pair: CryptoKeyPair): Promise<string> {
  const { crv, kty, x, y } = await publicJwk(pair)
  return sha256Base64url(JSON.stringify({ crv, kty, x, y })) // the order of RFC 7638, 3.3
}
