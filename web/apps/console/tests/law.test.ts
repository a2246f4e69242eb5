import { describe, expect, it } from 'vitest'

import { EXAMPLES, loadExample } from '../src/law/examples.ts'
import {
  emptyCase,
  FIELDS,
  idsOf,
  isReady,
  KINDS_OF_FACT,
  newFact,
  problemsOfFacts,
  toBody,
  toDraft,
} from '../src/law/facts.ts'
import { en } from '../src/words/en.ts'
import { zhCN } from '../src/words/zh-CN.ts'

describe('the draft of a law case', () => {
  it('becomes a body with times as a lawyer writes them, and only what was filled in', () => {
    const draft = loadExample('appeal', ' 申诉 ')
    const body = toBody({ ...draft, place: '410100' })
    expect(body).toMatchObject({
      name: '申诉',
      place: '410100',
      at: ['2025-09-23 00:00', '2025-10-15 12:00'],
    })
    expect(body.facts).toContainEqual({
      payment: { id: 'm1', aid: 'g1', month: '2025-09', paid: '2025-09-20 10:00', fen: 23000 },
    })
    expect(body.facts).toContainEqual({ prompt_delivered: { prompt: 'misses', at: '2025-09-15 15:00' } })
    expect(toBody(draft)).not.toHaveProperty('place')
  })

  it.each(Object.keys(EXAMPLES))('is ready after the example %s is loaded', (id) => {
    expect(isReady(loadExample(id, id))).toBe(true)
  })

  it('is not ready without a name, an instant, or a required field', () => {
    expect(isReady({ ...loadExample('expiry', '') })).toBe(false)
    expect(isReady({ ...loadExample('expiry', 'x'), at: [''] })).toBe(false)
    const facts = [newFact('roll_call', [])]
    expect(isReady({ ...emptyCase(), name: 'x', at: ['2025-09-15T15:00'], facts })).toBe(false)
  })

  it('numbers new facts of a kind past the used ids', () => {
    const first = newFact('roll_call', [])
    const second = newFact('roll_call', [first])
    expect(idsOf('roll_call', [first, second])).toEqual(['c1', 'c2'])
    expect(newFact('roll_call', [second]).values['id']).toBe('c1')
  })

  it('finds the fact that the server refuses', () => {
    const fields = [
      { field: 'body.facts.3.payment.aid', message: '没有“g”' },
      { field: 'body.at.0', message: '…' },
    ]
    expect(problemsOfFacts(fields)).toEqual(new Map([[3, ['aid: 没有“g”']]]))
  })
})

describe('a case that was opened from a file', () => {
  const body = {
    name: '期满未处理',
    place: '410100',
    terms: [
      {
        code: '2025-autumn',
        from: '2025-09-01',
        to: '2026-01-18',
        vacations: [
          { from: '2025-10-01', to: '2025-10-08' },
          { from: '2025-11-03', to: '2025-11-04', declared: '2025-10-30 09:00' },
        ],
      },
    ],
    student: { degree_track: false, standing: '01', study_form: 'part_time' },
    facts: [
      { roll_call: { id: 'c1', on: '2025-09-08', outcome: 'missed', launched: '2025-09-08 08:00' } },
      { roll_call: { id: 'c2', opens: '2025-09-15 09:00', closes: '2025-09-15 10:00', outcome: 'present' } },
      { decision: { id: 'd1', prompt: 'misses#3', at: '2025-09-17 10:00', outcome: 'part_time' } },
      { appeal: { id: 'p1', filed: '2025-09-20 10:00', change: 2, upheld: true } },
      { leave_answer: { leave: 'l1', at: '2025-09-20 10:00', accepted: true } },
      { payment: { id: 'm1', aid: 'g1', month: '2025-09', paid: '2025-09-20 10:00', fen: 23000 } },
    ],
    at: ['2025-09-23 00:00'],
  }

  it('is sent as the file has it, with what the form does not offer', () => {
    expect(toBody(toDraft(body))).toEqual(body)
  })

  it('is ready, although a roll call has a window instead of a day', () => {
    expect(isReady(toDraft(body))).toBe(true)
  })
})

describe('the words of the simulator', () => {
  it.each(KINDS_OF_FACT)('name each field and code of %s in both languages', (kind) => {
    for (const { law } of [zhCN, en]) {
      expect(law.kinds).toHaveProperty(kind)
      for (const field of FIELDS[kind] ?? []) {
        expect(law.fields).toHaveProperty(field.key)
        for (const code of field.choices ?? []) expect(Object.keys(law.codes)).toContain(code)
      }
    }
  })
})
