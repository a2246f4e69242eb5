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
