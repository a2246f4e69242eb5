import { describe, expect, it } from 'vitest'

import { nextPhaseReadMs } from '../src/roll-calls/phases.ts'

const times = {
  notify_at: '2026-11-30T12:00:00+08:00',
  opens_at: '2026-11-30T12:10:00+08:00',
  closes_at: '2026-11-30T13:10:00+08:00',
}
const at = (clock: string) => Date.parse(`2026-11-30T${clock}+08:00`)

describe('the phase of a roll call is read again', () => {
  it('just after the next change that is due', () => {
    expect(nextPhaseReadMs({ ...times, phase: 'scheduled' }, at('11:59:50'))).toBe(10_500)
    expect(nextPhaseReadMs({ ...times, phase: 'announced' }, at('12:09:00'))).toBe(60_500)
    expect(nextPhaseReadMs({ ...times, phase: 'open' }, at('13:09:58'))).toBe(2500)
  })

  it('often while the settlement is awaited, even if the clock was moved past the close', () => {
    expect(nextPhaseReadMs({ ...times, phase: 'closing' }, at('13:11:00'))).toBe(3000)
    expect(nextPhaseReadMs({ ...times, phase: 'open' }, at('13:11:00'))).toBe(3000)
  })

  it('at least every hour, and never after the end', () => {
    expect(nextPhaseReadMs({ ...times, phase: 'scheduled' }, at('01:00:00'))).toBe(3_600_500)
    expect(nextPhaseReadMs({ ...times, phase: 'settled' }, at('12:00:00'))).toBe(false)
    expect(nextPhaseReadMs({ ...times, phase: 'voided' }, at('12:00:00'))).toBe(false)
  })
})
