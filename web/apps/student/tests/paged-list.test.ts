import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { flushPromises, mount } from '@vue/test-utils'
import { expect, it, vi } from 'vitest'
import { defineComponent, h } from 'vue'

import { usePagedList } from '../src/composables/paged-list.ts'

function open(
  fetchPage: (cursor: string | null) => Promise<{ items: number[]; next_cursor: string | null }>,
) {
  const page = defineComponent({
    setup() {
      const list = usePagedList(['numbers'], fetchPage)
      return { list }
    },
    render: () => h('div'),
  })
  const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  return mount(page, { global: { plugins: [[VueQueryPlugin, { queryClient }]] } }).vm.list
}

it('loads further pages by the cursor until there is none', async () => {
  const fetchPage = vi.fn((cursor: string | null) =>
    Promise.resolve(
      cursor === null ? { items: [1, 2], next_cursor: 'c' } : { items: [3], next_cursor: null },
    ),
  )
  const list = open(fetchPage)
  expect(list.isPending).toBe(true)
  await flushPromises()
  expect([list.items, list.hasMore]).toEqual([[1, 2], true])
  await list.loadMore()
  await flushPromises()
  expect([list.items, list.hasMore]).toEqual([[1, 2, 3], false])
  expect(fetchPage.mock.calls.map(([cursor]) => cursor)).toEqual([null, 'c'])
})

it('keeps the error of the first page', async () => {
  const list = open(() => Promise.reject(new Error('no network')))
  await flushPromises()
  expect([list.items, (list.error as Error).message]).toEqual([[], 'no network'])
})
