import { describe, expect, it } from 'vitest'

import { amountOf, pageOf, type TimelineEntry } from '../src/students/timeline.ts'

const entry = (fields: object) => ({ id: 'x', at: '2026-10-01T08:00:00Z', ...fields }) as TimelineEntry

describe('a record of a timeline', () => {
  it('leads to its own page', () => {
    expect(pageOf(entry({ kind: 'prompt' }), 's')).toEqual({ name: 'prompt', params: { id: 'x' } })
    expect(pageOf(entry({ kind: 'leave' }), 's')).toEqual({
      name: 'student-leave',
      params: { id: 's', leave: 'x' },
    })
  })

  it('leads to the record that it belongs to', () => {
    expect(pageOf(entry({ kind: 'statement', prompt_id: 'p' }), 's')).toEqual({
      name: 'prompt',
      params: { id: 'p' },
    })
    expect(pageOf(entry({ kind: 'claim', roll_call_id: 'r' }), 's')).toEqual({
      name: 'roll-call',
      params: { id: 'r' },
    })
  })

  it('has no page if the timeline shows all of it', () => {
    expect(pageOf(entry({ kind: 'attendance' }), 's')).toBeUndefined()
  })

  it('has an amount if money moved', () => {
    expect(amountOf(entry({ kind: 'aid_payment', fen: 23005 }))).toBe(23005)
    expect(amountOf(entry({ kind: 'aid_application', fen: null }))).toBeUndefined()
    expect(amountOf(entry({ kind: 'leave' }))).toBeUndefined()
  })
})
