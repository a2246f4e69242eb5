import type { StaffSchemas } from '@dianming/api/staff'

export type RollCall = StaffSchemas['StaffRollCallOut']
export type Phase = RollCall['phase']

/** Whether a roll call is announced, open, or not settled yet. */
export function isGoingOn(phase: Phase): boolean {
  return phase === 'announced' || phase === 'open' || phase === 'closing'
}

/** Whether a roll call can still be voided and its figures still move. */
export function isOver(phase: Phase): boolean {
  return phase === 'settled' || phase === 'voided'
}
