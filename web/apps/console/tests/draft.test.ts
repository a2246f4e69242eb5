import { describe, expect, it } from 'vitest'

import { badGrades, emptyDraft, quickWindow, toBody, toLocal } from '../src/roll-calls/launch/draft.ts'

const NOON_IN_CHINA = Date.parse('2026-11-30T04:00:30Z')

describe('times of a launch', () => {
  it('are clock times in China, in any time zone of the browser', () => {
    expect(toLocal(NOON_IN_CHINA)).toBe('2026-11-30T12:00')
  })

  it('open on the next full minute after the pause', () => {
    expect(quickWindow(NOON_IN_CHINA, 10, 60)).toEqual({
      opensAt: '2026-11-30T12:11',
      closesAt: '2026-11-30T13:11',
    })
  })
})

describe('the body of a launch', () => {
  const draft = {
    ...emptyDraft('spot_check'),
    title: ' 抽查 ',
    opensAt: '2026-11-30T12:11',
    closesAt: '2026-11-30T13:11',
  }

  it('has offsets, and neither notice nor seed unless asked for', () => {
    expect(toBody(draft, 'drawn')).toEqual({
      kind: 'spot_check',
      title: '抽查',
      opens_at: '2026-11-30T12:11:00+08:00',
      closes_at: '2026-11-30T13:11:00+08:00',
      audience: { unit_ids: [], class_ids: [], grades: [], majors: [], programmes: [], sample: null },
    })
  })

  it('launches with the seed of the preview, unless one was typed', () => {
    const sampled = { ...draft, sample: 'share' as const, samplePercent: 25 }
    expect(toBody(sampled, 'drawn')).toMatchObject({ seed: 'drawn', audience: { sample: { share: 0.25 } } })
    expect(toBody({ ...sampled, seed: 'typed' }, 'drawn').seed).toBe('typed')
  })

  it('splits lists at spaces and at Chinese or Latin commas', () => {
    const { audience } = toBody({ ...draft, grades: '2024，2025', majors: '会计事务、护理, 幼儿保育' })
    expect(audience).toMatchObject({ grades: [2024, 2025], majors: ['会计事务', '护理', '幼儿保育'] })
  })

  it('names the words that are no years', () => {
    expect(badGrades('2025 高一，24')).toEqual(['高一', '24'])
  })
})
