import { describe, expect, it } from 'vitest'

import { dragged, inChunks, joined, MAX_ROWS } from '../src/classes/assignment.ts'

describe('rows of a bulk act', () => {
  it('are sent in parts that the API accepts, none twice', () => {
    const rows = Array.from({ length: 2 * MAX_ROWS + 1 }, (_, at) => at)
    const parts = inChunks(rows)
    expect(parts.map((each) => each.length)).toEqual([MAX_ROWS, MAX_ROWS, 1])
    expect(parts.flat()).toEqual(rows)
    expect(inChunks([])).toEqual([])
  })

  it('are counted over all parts', () => {
    const part = { rows: [], done: 2, unchanged: 1, refused: 0 }
    expect(joined([part, { ...part, refused: 3 }])).toEqual({ rows: [], done: 4, unchanged: 2, refused: 3 })
  })
})

describe('a drag', () => {
  it('moves all chosen classes if it begins on one of them', () => {
    expect(dragged('a', ['a', 'b'])).toEqual(['a', 'b'])
  })

  it('moves the class under the pointer otherwise', () => {
    expect(dragged('c', ['a', 'b'])).toEqual(['c'])
  })
})
