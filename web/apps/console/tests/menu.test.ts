import { describe, expect, it } from 'vitest'

import { MENU, menuFor } from '../src/layout/menu.ts'
import { createAppRouter } from '../src/router.ts'
import { en } from '../src/words/en.ts'
import { zhCN } from '../src/words/zh-CN.ts'

function textOf(words: object, key: string): unknown {
  return key.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown>)?.[part], words)
}

describe('the menu', () => {
  const routes = createAppRouter().getRoutes()

  it.each(MENU)('leads to an existing page, with a name in both languages: $id', (entry) => {
    const route = routes.find((each) => each.name === entry.route)
    expect(route?.meta.menu).toBe(entry.id)
    for (const words of [zhCN, en]) expect(textOf(words, entry.label)).toEqual(expect.any(String))
  })

  it('shows nothing to a counselor, who has a page of their own', () => {
    expect(menuFor('counselor')).toEqual([])
  })
})
