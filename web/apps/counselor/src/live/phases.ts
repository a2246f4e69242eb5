import type { StaffSchemas } from '@dianming/api/staff'

export type RollCall = StaffSchemas['StaffRollCallOut']

/** Whether students can still check in. */
export function isRunning(rollCall: Pick<RollCall, 'phase'>): boolean {
  return rollCall.phase === 'open'
}

/** Running first (the one that closes next on top), then what comes, then what is over, newest first. */
export function sortRollCalls(rows: readonly RollCall[]): RollCall[] {
  const rank = (row: RollCall) => {
    if (isRunning(row)) return 0
    return row.phase === 'announced' || row.phase === 'scheduled' ? 1 : 2
  }
  return [...rows].sort((a, b) => {
    const difference = rank(a) - rank(b)
    if (difference !== 0) return difference
    const [first, second] = [Date.parse(a.closes_at), Date.parse(b.closes_at)]
    return rank(a) === 2 ? second - first : first - second
  })
}

const NEAR_MS = 60_000

/**
 * Milliseconds after which the phases are worth reading again, at the server's time `nowMs`: often around the moment at
 * which a roll call opens or closes, otherwise rarely.
 */
export function phasePollMs(
  rows: readonly Pick<RollCall, 'phase' | 'opens_at' | 'closes_at'>[],
  nowMs: number,
): number {
  const isNear = rows.some(({ phase, opens_at, closes_at }) => {
    if (phase !== 'announced' && phase !== 'scheduled' && phase !== 'open') return false
    return Date.parse(phase === 'open' ? closes_at : opens_at) - nowMs < NEAR_MS
  })
  return isNear ? 2000 : 30_000
}
