import { describe, expect, it } from 'vitest'

import { en } from '../src/words/en.ts'
import { zhCN } from '../src/words/zh-CN.ts'

type Words = { [key: string]: string | Words }

function flatten(words: Words, prefix = ''): [string, string][] {
  return Object.entries(words).flatMap(([key, value]) =>
    typeof value === 'string'
      ? [[prefix + key, value] as [string, string]]
      : flatten(value, `${prefix}${key}.`),
  )
}

const slots = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort()

describe('the words', () => {
  it('have the same places for values in both languages', () => {
    const english = new Map(flatten(en))
    for (const [key, text] of flatten(zhCN))
      expect([key, slots(english.get(key) ?? '')]).toEqual([key, slots(text)])
  })

  it('are never empty, and the Chinese ones have Chinese', () => {
    for (const [key, text] of [...flatten(zhCN), ...flatten(en)])
      expect([key, text.trim()]).not.toEqual([key, ''])
    for (const [key, text] of flatten(en)) expect([key, /[\u4e00-\u9fff]/.test(text)]).toEqual([key, false])
  })
})
