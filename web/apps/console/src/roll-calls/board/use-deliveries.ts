import { ApiError, content } from '@dianming/api'
import { useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed, type MaybeRefOrGetter, toValue, watch } from 'vue'

import type { Progress } from './use-board.ts'

const OLDEST_MS = 60_000
const NOT_FOUND = 404

/** What became of the notices of a roll call. They are counted again when the board changes, at most once a minute. */
export function useDeliveries(
  id: MaybeRefOrGetter<string>,
  progress: MaybeRefOrGetter<Progress | undefined>,
  isNotified: MaybeRefOrGetter<boolean>,
) {
  const session = useSession()
  const deliveries = useQuery({
    queryKey: computed(() => ['deliveries', toValue(id)]),
    queryFn: async ({ signal }) => {
      try {
        const params = { path: { group_id: toValue(id) } }
        return await content(session.api.GET('/v1/notice-groups/{group_id}', { params, signal }))
      } catch (error) {
        // The notices are being prepared.
        if (error instanceof ApiError && error.status === NOT_FOUND) return null
        throw error
      }
    },
    enabled: () => toValue(isNotified),
  })
  watch(
    () => toValue(progress),
    () => {
      const age = Date.now() - deliveries.dataUpdatedAt.value
      if (toValue(isNotified) && !deliveries.isFetching.value && age > OLDEST_MS) void deliveries.refetch()
    },
  )
  return deliveries
}
