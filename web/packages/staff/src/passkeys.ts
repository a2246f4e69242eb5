import type { StaffSchemas } from '@dianming/api/staff'

type Creation = StaffSchemas['CreationOptionsOut']
type Request = StaffSchemas['RequestOptionsOut']

/** Names that browsers make no passkeys for: IPv4 addresses, and IPv6 ones in brackets. */
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[.*\])$/

/** Whether this browser can make and use passkeys for this site. */
export function supportsPasskeys(hostname = location.hostname): boolean {
  const browser = (globalThis as { PublicKeyCredential?: Partial<typeof PublicKeyCredential> })
    .PublicKeyCredential
  return Boolean(
    browser?.parseCreationOptionsFromJSON && browser.parseRequestOptionsFromJSON && !ADDRESS.test(hostname),
  )
}

/** Ask the device to make a passkey. Undefined if the person cancelled. */
export async function createPasskey(options: Creation): Promise<StaffSchemas['NewCredentialIn'] | undefined> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as unknown as PublicKeyCredentialCreationOptionsJSON,
  )
  const made = await unlessCancelled(navigator.credentials.create({ publicKey }))
  return made && (made.toJSON() as StaffSchemas['NewCredentialIn'])
}

/** Ask the device for a proof by one of its passkeys. Undefined if the person cancelled. */
export async function askForPasskey(options: Request): Promise<StaffSchemas['AssertionIn'] | undefined> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as unknown as PublicKeyCredentialRequestOptionsJSON,
  )
  const found = await unlessCancelled(navigator.credentials.get({ publicKey }))
  return found && (found.toJSON() as StaffSchemas['AssertionIn'])
}

async function unlessCancelled(
  pending: Promise<Credential | null>,
): Promise<PublicKeyCredential | undefined> {
  try {
    return ((await pending) as PublicKeyCredential | null) ?? undefined
  } catch (error) {
    if (error instanceof DOMException && (error.name === 'NotAllowedError' || error.name === 'AbortError'))
      return undefined
    throw error
  }
}
