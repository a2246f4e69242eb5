const ES256: EcdsaParams = { name: 'ECDSA', hash: 'SHA-256' }

/** Encode bytes as base64url without padding (RFC 7515, 2). */
export function base64url(bytes: Uint8Array): string {
  // Byte by byte: an engine limits the number of arguments of one call, and an envelope may be longer.
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}

/** The SHA-256 of a text in UTF-8, as base64url. */
export async function sha256Base64url(text: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(text))))
}

/**
 * Sign a JSON value with ES256, in the compact form of a JWS (RFC 7515, 7.1). WebCrypto signs in the form that JWS asks for
 * (RFC 7518, 3.4), so this needs no library: one would be a fifteenth of the first load.
 */
export async function signCompact(
  key: CryptoKey,
  header: { typ: string; jwk?: object },
  payload: object,
): Promise<string> {
  const encode = (value: object) => base64url(utf8(JSON.stringify(value)))
  const input = `${encode({ ...header, alg: 'ES256' })}.${encode(payload)}`
  const signature = new Uint8Array(await crypto.subtle.sign(ES256, key, utf8(input)))
  return `${input}.${base64url(signature)}`
}
