import { describe, expect, it } from 'vitest'

import { directionOf, sortAfterPress } from '../src/components/sorting.ts'

describe('the head of a column', () => {
  it('says how the rows are sorted', () => {
    expect(directionOf({ sort: 'name' }, 'name')).toBe('ascending')
    expect(directionOf({ sort: 'name' }, '-name')).toBe('descending')
    expect(directionOf({ sort: '-filed_at' }, 'filed_at')).toBe('ascending')
    expect(directionOf({ sort: 'name' }, '-filed_at')).toBe('none')
    expect(directionOf({ sort: 'name' }, undefined)).toBe('none')
    expect(directionOf({}, 'name')).toBeUndefined()
  })

  it('sorts in its own direction first, then in the reverse', () => {
    expect(sortAfterPress({ sort: 'name' }, undefined)).toBe('name')
    expect(sortAfterPress({ sort: 'name' }, 'name')).toBe('-name')
    expect(sortAfterPress({ sort: 'name' }, '-name')).toBe('name')
    expect(sortAfterPress({ sort: '-filed_at' }, 'name')).toBe('-filed_at')
    expect(sortAfterPress({ sort: '-filed_at' }, '-filed_at')).toBe('filed_at')
  })
})
