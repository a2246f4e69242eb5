import { describe, expect, it } from 'vitest'

import { dayInChina, standInPeriod } from '../src/account/stand-in.ts'

const now = Date.parse('2026-11-30T10:00:00+08:00')

describe('the period of a stand-in', () => {
  it('includes both days, and begins now if the first has begun', () => {
    expect(standInPeriod('2026-11-30', '2026-12-01', now)).toEqual({
      starts_at: '2026-11-30T02:00:00.000Z',
      ends_at: '2026-12-01T16:00:00.000Z',
    })
    expect(standInPeriod('2026-12-05', '2026-12-05', now)).toEqual({
      starts_at: '2026-12-04T16:00:00.000Z',
      ends_at: '2026-12-05T16:00:00.000Z',
    })
  })

  it('is refused when it is over, backwards or incomplete', () => {
    expect(standInPeriod('2026-11-28', '2026-11-29', now)).toBeUndefined()
    expect(standInPeriod('2026-12-05', '2026-12-04', now)).toBeUndefined()
    expect(standInPeriod('', '2026-12-04', now)).toBeUndefined()
  })
})

describe('a day in China', () => {
  it('begins eight hours before that of UTC', () => {
    expect(dayInChina(Date.parse('2026-11-30T15:59:59Z'))).toBe('2026-11-30')
    expect(dayInChina(Date.parse('2026-11-30T16:00:00Z'))).toBe('2026-12-01')
  })
})
