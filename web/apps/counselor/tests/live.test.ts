import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { mergeAttempts } from '../src/live/attempts.ts'
import { findCardCode, normaliseCode } from '../src/live/card-code.ts'
import { phasePollMs, type RollCall, sortRollCalls } from '../src/live/phases.ts'
import { throttled } from '../src/live/throttle.ts'

describe('the code of a card', () => {
  it('is the only run of eight digits in a scanned text', () => {
    expect(findCardCode('20481357')).toBe('20481357')
    expect(findCardCode('https://school.example/card?c=20481357&v=1')).toBe('20481357')
    expect(findCardCode('410105200801011234')).toBeUndefined()
    expect(findCardCode('20481357 20481358')).toBeUndefined()
  })

  it('may be typed with spaces and full-width digits', () => {
    expect(normaliseCode('２０48 1357')).toBe('20481357')
    expect(normaliseCode('2048-13579')).toBe('20481357')
  })
})

describe('roll calls', () => {
  it('are sorted: running, to come, over', () => {
    const call = (id: string, phase: RollCall['phase'], closes_at: string) =>
      ({ id, phase, closes_at }) as RollCall
    const sorted = sortRollCalls([
      call('old', 'settled', '2026-11-01T21:00:00+08:00'),
      call('new', 'voided', '2026-11-20T21:00:00+08:00'),
      call('next', 'announced', '2026-11-30T21:00:00+08:00'),
      call('late', 'open', '2026-11-29T22:00:00+08:00'),
      call('soon', 'open', '2026-11-29T21:00:00+08:00'),
    ])
    expect(sorted.map((each) => each.id)).toEqual(['soon', 'late', 'next', 'new', 'old'])
  })
})

describe('the phases', () => {
  const call = { opens_at: '2026-11-29T20:00:00+08:00', closes_at: '2026-11-29T21:00:00+08:00' }
  const at = (time: string) => Date.parse(`2026-11-29T${time}+08:00`)

  it('are read often around opening and close, and rarely otherwise', () => {
    expect(phasePollMs([{ ...call, phase: 'announced' }], at('19:30:00'))).toBe(30_000)
    expect(phasePollMs([{ ...call, phase: 'announced' }], at('20:00:01'))).toBe(2000)
    expect(phasePollMs([{ ...call, phase: 'open' }], at('20:00:01'))).toBe(30_000)
    expect(phasePollMs([{ ...call, phase: 'open' }], at('20:59:30'))).toBe(2000)
    expect(phasePollMs([{ ...call, phase: 'settled' }], at('23:00:00'))).toBe(30_000)
  })
})

describe('the attempts of a student', () => {
  it('are one list with the refusals, newest first', () => {
    const entries = mergeAttempts({
      attempts: [
        {
          submission_id: 's1',
          received_at: '2026-11-29T20:01:00+08:00',
          in_cool_down: false,
          actions: ['turn_left'],
          cannot: [],
          finding: null,
          reasons: [],
          engine: null,
          trace: null,
        },
      ],
      refusals: [
        {
          at: '2026-11-29T20:00:00+08:00',
          step: 'challenge',
          code: 'window_not_open',
          zh: '未开始',
          en: 'early',
        },
        {
          at: '2026-11-29T20:02:00+08:00',
          step: 'challenge',
          code: 'challenges_exhausted',
          zh: '用完',
          en: 'used up',
        },
      ],
    })
    expect(entries.map((each) => each.finding)).toEqual(['refused', 'checking', 'refused'])
    expect(entries[0]).toMatchObject({ kind: 'refusal', reason: { zh: '用完', en: 'used up' } })
  })
})

describe('reading the list again', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('happens at once, and for many changes once more after the pause', () => {
    const action = vi.fn()
    const { call } = throttled(action, 2000)
    call()
    call()
    call()
    expect(action).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(2000)
    expect(action).toHaveBeenCalledTimes(2)
    vi.advanceTimersByTime(10_000)
    expect(action).toHaveBeenCalledTimes(2)
  })

  it('stops with the page', () => {
    const action = vi.fn()
    const { call, stop } = throttled(action, 2000)
    call()
    call()
    stop()
    vi.advanceTimersByTime(2000)
    expect(action).toHaveBeenCalledTimes(1)
  })
})
