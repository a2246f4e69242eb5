import { content, type StreamState } from '@dianming/api'
import type { StaffSchemas } from '@dianming/api/staff'
import { readAll, useSession } from '@dianming/staff'
import { useQuery, useQueryClient } from '@tanstack/vue-query'
import { computed, type MaybeRefOrGetter, onScopeDispose, ref, toValue, watch } from 'vue'

import { sortMissing } from './missing.ts'
import { isRunning, phasePollMs } from './phases.ts'
import { throttled } from './throttle.ts'

export type Progress = StaffSchemas['ProgressOut']

/** The list is read at most so often after changes … */
const RELOAD_MS = 2000
/** … and so often without one: a refused attempt changes the row of a student, but no count. */
const POLL_MS = 15_000

/** A roll call as it goes: counts by a stream, and the list of missing students read again after each change. */
export function useLiveRollCall(id: MaybeRefOrGetter<string>) {
  const session = useSession()
  const queryClient = useQueryClient()
  const streamed = ref<Progress>()
  const connection = ref<StreamState | 'off'>('off')
  const path = computed(() => ({ roll_call_id: toValue(id) }))

  const rollCall = useQuery({
    queryKey: computed(() => ['roll-call', toValue(id)]),
    queryFn: ({ signal }) =>
      content(session.api.GET('/v1/roll-calls/{roll_call_id}', { params: { path: path.value }, signal })),
    refetchInterval: (query) =>
      phasePollMs(query.state.data ? [query.state.data] : [], session.clock.nowMs()),
  })
  const running = computed(() => rollCall.data.value !== undefined && isRunning(rollCall.data.value))

  const missing = useQuery({
    queryKey: computed(() => ['missing', toValue(id)]),
    queryFn: ({ signal }) =>
      readAll((cursor) =>
        session.api.GET('/v1/roll-calls/{roll_call_id}/missing', {
          params: { path: path.value, query: { limit: 100, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    select: sortMissing,
    refetchInterval: () => (running.value ? POLL_MS : false),
  })
  const progress = useQuery({
    queryKey: computed(() => ['progress', toValue(id)]),
    queryFn: ({ signal }) =>
      content(
        session.api.GET('/v1/roll-calls/{roll_call_id}/progress', { params: { path: path.value }, signal }),
      ),
  })

  const reload = throttled(
    () => void queryClient.invalidateQueries({ queryKey: ['missing', toValue(id)] }),
    RELOAD_MS,
  )
  let controller: AbortController | undefined

  function follow(): void {
    controller?.abort()
    controller = undefined
    connection.value = 'off'
    if (!running.value) return
    controller = new AbortController()
    const { signal } = controller
    void session
      .follow(`/v1/roll-calls/${toValue(id)}/progress/stream`, {
        signal,
        onState: (state) => (connection.value = state),
        onEvent: (event) => {
          if (event.name !== 'progress') return
          streamed.value = JSON.parse(event.data) as Progress
          reload.call()
        },
      })
      // The stream only makes the page faster: without it the list is still read every few seconds.
      .catch(() => {
        if (!signal.aborted) connection.value = 'waiting'
      })
  }

  watch([() => toValue(id), running], follow, { immediate: true })
  watch(
    () => toValue(id),
    () => (streamed.value = undefined),
  )
  onScopeDispose(() => {
    controller?.abort()
    reload.stop()
  })

  return {
    rollCall: rollCall.data,
    missing: missing.data,
    readAt: missing.dataUpdatedAt,
    progress: computed(() => streamed.value ?? progress.data.value),
    isPending: computed(() => rollCall.isPending.value || missing.isPending.value),
    error: computed(() =>
      rollCall.data.value && missing.data.value ? undefined : (rollCall.error.value ?? missing.error.value),
    ),
    running,
    connection,
    reload: () => Promise.all([rollCall.refetch(), missing.refetch(), progress.refetch()]),
  }
}
