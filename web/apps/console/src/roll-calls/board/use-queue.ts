import { ApiError, content } from '@dianming/api'
import { useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed, type MaybeRefOrGetter, toValue } from 'vue'

import type { Queue } from './queue.ts'

const FORBIDDEN = 403

/**
 * The queue of the verification. It is read once; the stream of the board continues it. Only the launching side has it:
 * `isForbidden` for all others.
 */
export function useQueue(id: MaybeRefOrGetter<string>, streamed: MaybeRefOrGetter<Queue | undefined>) {
  const session = useSession()
  const queue = useQuery({
    queryKey: computed(() => ['verification', toValue(id)]),
    queryFn: ({ signal }) =>
      content(
        session.api.GET('/v1/roll-calls/{roll_call_id}/verification', {
          params: { path: { roll_call_id: toValue(id) } },
          signal,
        }),
      ),
  })
  const newest = computed(() => {
    const [read, pushed] = [queue.data.value, toValue(streamed)]
    if (!read || !pushed) return pushed ?? read
    return Date.parse(pushed.server_time) >= Date.parse(read.server_time) ? pushed : read
  })
  const isForbidden = computed(
    () => queue.error.value instanceof ApiError && queue.error.value.status === FORBIDDEN,
  )
  return { queue: newest, error: queue.error, isForbidden, refetch: queue.refetch }
}
