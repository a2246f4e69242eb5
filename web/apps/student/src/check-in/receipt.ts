/** The instant at which the server received an envelope, from its receipt (a JWS), or undefined if it is not readable. */
export function receivedAt(receipt: string): Date | undefined {
  try {
    const part = (receipt.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')
    const { received_at } = JSON.parse(atob(part)) as { received_at?: string | number }
    const at = typeof received_at === 'number' ? new Date(received_at * 1000) : new Date(received_at ?? '')
    return Number.isNaN(at.getTime()) ? undefined : at
  } catch {
    return undefined
  }
}
