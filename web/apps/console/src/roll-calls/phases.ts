import type { StaffSchemas } from '@dianming/api/staff'

export type RollCall = StaffSchemas['StaffRollCallOut']
export type Phase = RollCall['phase']

/** Whether a roll call is announced, open, or not settled yet. */
export function isGoingOn(phase: Phase): boolean {
  return phase === 'announced' || phase === 'open' || phase === 'closing'
}

/** Whether the notices of a roll call went out. */
export function isNotified(phase: Phase): boolean {
  return phase !== 'scheduled'
}

/** Whether a roll call can still be voided and its figures still move. */
export function isOver(phase: Phase): boolean {
  return phase === 'settled' || phase === 'voided'
}

const CLOSING_MS = 3000
const MARGIN_MS = 500
const LONGEST_MS = 3_600_000

/**
 * Milliseconds after which the phase is worth reading again, at the server's time `nowMs`: just after the next notice, opening or
 * close, and often while the settlement is awaited. False: it changes no more.
 */
export function nextPhaseReadMs(
  rollCall: Pick<RollCall, 'phase' | 'notify_at' | 'opens_at' | 'closes_at'> | undefined,
  nowMs: number,
): number | false {
  if (!rollCall || isOver(rollCall.phase)) return false
  const waits = [rollCall.notify_at, rollCall.opens_at, rollCall.closes_at]
    .map((at) => Date.parse(at) - nowMs)
    .filter((ms) => ms > 0)
  if (rollCall.phase === 'closing' || !waits.length) return CLOSING_MS
  return Math.min(...waits, LONGEST_MS) + MARGIN_MS
}
