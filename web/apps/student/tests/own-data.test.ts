import 'fake-indexeddb/auto'

import { ApiError } from '@dianming/api'
import type { MobileClient } from '@dianming/api/mobile'
import { expect, it, vi } from 'vitest'

import { collectOwnData, PARTS } from '../src/own-data/collect.ts'

it('reads every page of each list, and names what could not be read', async () => {
  const GET = vi.fn(
    async (path: string, init?: { params: { query?: { cursor: string | null }; path?: object } }) => {
      if (path === '/v1/me/aid')
        throw new ApiError({ code: 'not_found', status: 404, sentences: { zh: '', en: '' } })
      if (!init?.params.query) return { data: init ? init.params.path : path }
      const isFirst = init.params.query.cursor === null
      if (path === '/v1/me/prompts') return { data: { items: [{ id: 'p1' }], next_cursor: null } }
      return { data: { items: [isFirst ? 1 : 2], next_cursor: isFirst ? 'next' : null } }
    },
  )
  const onPart = vi.fn()
  const data = await collectOwnData({ GET } as unknown as MobileClient, onPart)
  expect(data).toMatchObject({
    record: '/v1/me/record',
    aid: { not_available: 'not_found' },
    roll_calls: [1, 2],
    prompts: [{ id: 'p1' }],
    prompt_details: [{ prompt_id: 'p1' }],
    receipts: [],
  })
  expect(onPart).toHaveBeenLastCalledWith(PARTS)
})
