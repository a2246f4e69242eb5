import { beforeEach, describe, expect, it } from 'vitest'

import type { Outline } from '../src/sites/outline/outline.ts'
import { outlineKey, readOutline, writeOutline } from '../src/sites/stored-outline.ts'

const OUTLINE: Outline = {
  type: 'MultiPolygon',
  coordinates: [
    [
      [
        [113.5, 34.8],
        [113.6, 34.8],
        [113.6, 34.9],
        [113.5, 34.8],
      ],
    ],
  ],
}
const AT = '2026-11-30T12:00:00Z'
const KEY = outlineKey('account-1', 'school-1', '')

describe('a drawn outline that was not filed', () => {
  beforeEach(() => localStorage.clear())

  it('is read back as it was saved', () => {
    writeOutline(localStorage, KEY, OUTLINE, AT)
    expect(readOutline(localStorage, KEY)).toEqual({ outline: OUTLINE, savedAt: AT })
  })

  it('is found by its account, unit and site only', () => {
    writeOutline(localStorage, KEY, OUTLINE, AT)
    for (const other of [
      outlineKey('account-2', 'school-1', ''),
      outlineKey('account-1', 'school-2', ''),
      outlineKey('account-1', 'school-1', 'site-1'),
    ])
      expect(readOutline(localStorage, other)).toBeUndefined()
  })

  it('is deleted when it is discarded', () => {
    writeOutline(localStorage, KEY, OUTLINE, AT)
    writeOutline(localStorage, KEY, undefined, AT)
    expect(localStorage.length).toBe(0)
  })

  it('is left out if it is damaged', () => {
    for (const damaged of ['{', '{"outline":{"type":"Point"},"savedAt":"x"}', 'null', '{"savedAt":"x"}']) {
      localStorage.setItem(KEY, damaged)
      expect(readOutline(localStorage, KEY)).toBeUndefined()
    }
  })
})
