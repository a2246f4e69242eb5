import { describe, expect, it } from 'vitest'

import { kindsOf, ordered, type TimelineItem } from '../src/students/timeline.ts'

const items: TimelineItem[] = [
  { id: 'b', kind: 'leave', at: '2026-10-01T08:00:00Z', text: 'leave' },
  { id: 'c', kind: 'prompt', at: '2026-10-03T08:00:00+08:00', text: 'prompt' },
  { id: 'a', kind: 'rollCall', at: '2026-10-01T16:00:00+08:00', text: 'roll call' },
]

describe('the timeline of a student', () => {
  it('is ordered from the newest record, equal instants by id', () => {
    expect(ordered(items, undefined).map((each) => each.id)).toEqual(['c', 'a', 'b'])
  })

  it('shows one kind when asked', () => {
    expect(ordered(items, 'leave').map((each) => each.id)).toEqual(['b'])
  })

  it('offers only the kinds that occur, in the order of the filter', () => {
    expect(kindsOf(items)).toEqual(['rollCall', 'prompt', 'leave'])
  })
})
