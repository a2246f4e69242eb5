import { content } from '@dianming/api'
import { useInfiniteQuery } from '@tanstack/vue-query'
import { computed } from 'vue'

import { useSession } from '../stores/session.ts'

const REFRESH_MS = 60_000

/** The student's roll calls, newest first, by pages. */
export function useRollCalls() {
  const { api } = useSession()
  const query = useInfiniteQuery({
    queryKey: ['roll-calls'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ signal, pageParam }) =>
      content(api.GET('/v1/roll-calls', { signal, params: { query: { cursor: pageParam ?? null } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: REFRESH_MS,
  })
  const rollCalls = computed(() => query.data.value?.pages.flatMap(({ items }) => items) ?? [])
  return { ...query, rollCalls }
}
