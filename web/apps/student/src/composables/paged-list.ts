import { type QueryKey, useInfiniteQuery } from '@tanstack/vue-query'
import { computed, reactive } from 'vue'

/** A page of a list of the API. */
export interface ListPage<Item> {
  items: Item[]
  next_cursor?: string | null
}

/** A list that comes in pages, for `PagedList`. `key` is reactive where it has refs. */
export function usePagedList<Page extends ListPage<unknown>>(
  key: QueryKey,
  fetchPage: (cursor: string | null, signal: AbortSignal) => Promise<Page>,
  refreshEveryMs?: number,
) {
  const query = useInfiniteQuery({
    queryKey: [...key, 'pages'],
    initialPageParam: null as string | null,
    queryFn: ({ signal, pageParam }) => fetchPage(pageParam, signal),
    getNextPageParam: (page: Page) => page.next_cursor ?? undefined,
    ...(refreshEveryMs === undefined ? {} : { refetchInterval: refreshEveryMs }),
  })
  const pages = computed(() => query.data.value?.pages ?? [])
  return reactive({
    items: computed(() => pages.value.flatMap(({ items }) => items as Page['items'][number][])),
    first: computed(() => pages.value[0]),
    isPending: query.isPending,
    error: query.error,
    hasMore: query.hasNextPage,
    isLoadingMore: query.isFetchingNextPage,
    retry: () => query.refetch(),
    loadMore: () => query.fetchNextPage(),
  })
}
