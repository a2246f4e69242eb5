import { content, type StreamState } from '@dianming/api'
import type { StaffSchemas } from '@dianming/api/staff'
import { useSession } from '@dianming/staff'
import { useQuery, useQueryClient } from '@tanstack/vue-query'
import { computed, type MaybeRefOrGetter, onScopeDispose, ref, shallowRef, toValue, watch } from 'vue'

import { nextPhaseReadMs } from '../phases.ts'
import type { Queue } from './queue.ts'

export type Progress = StaffSchemas['ProgressOut']
export type Totals = StaffSchemas['ProgressTotals']

/**
 * The figures of a roll call for a unit, `undefined` for the caller's own. They come by the server's stream until the settlement.
 * The phase is read again when it is due to change.
 */
export function useBoard(id: MaybeRefOrGetter<string>, unitId: MaybeRefOrGetter<string | undefined>) {
  const session = useSession()
  const queryClient = useQueryClient()
  const streamed = shallowRef<Progress>()
  const queue = shallowRef<Queue>()
  const connection = ref<StreamState | 'off'>('off')
  const path = computed(() => ({ roll_call_id: toValue(id) }))
  const unit = computed(() => toValue(unitId))

  const rollCall = useQuery({
    queryKey: computed(() => ['roll-call', toValue(id)]),
    queryFn: ({ signal }) =>
      content(session.api.GET('/v1/roll-calls/{roll_call_id}', { params: { path: path.value }, signal })),
    refetchInterval: (query) => nextPhaseReadMs(query.state.data, session.clock.nowMs()),
  })
  const progress = useQuery({
    queryKey: computed(() => ['progress', toValue(id), unit.value]),
    queryFn: ({ signal }) =>
      content(
        session.api.GET('/v1/roll-calls/{roll_call_id}/progress', {
          params: { path: path.value, query: unit.value ? { unit_id: unit.value } : {} },
          signal,
        }),
      ),
  })
  const isLive = computed(() => {
    const phase = rollCall.data.value?.phase
    return phase !== undefined && phase !== 'settled' && phase !== 'voided'
  })
  let controller: AbortController | undefined

  function follow(): void {
    controller?.abort()
    controller = undefined
    streamed.value = undefined
    queue.value = undefined
    connection.value = 'off'
    if (!isLive.value) return
    controller = new AbortController()
    const { signal } = controller
    const query = unit.value ? `?unit_id=${unit.value}` : ''
    void session
      .follow(`/v1/roll-calls/${toValue(id)}/progress/stream${query}`, {
        signal,
        onState: (state) => (connection.value = state),
        onEvent: (event) => {
          if (event.name === 'progress') streamed.value = JSON.parse(event.data) as Progress
          if (event.name === 'verification') queue.value = JSON.parse(event.data) as Queue
        },
      })
      .catch(() => {
        if (!signal.aborted) connection.value = 'waiting'
      })
  }

  watch([() => toValue(id), unit, isLive], follow, { immediate: true })
  // The stream ends with the settlement, whose figures are the last.
  watch(isLive, (live) => {
    if (!live) void progress.refetch()
  })
  onScopeDispose(() => controller?.abort())

  return {
    rollCall: rollCall.data,
    progress: computed(() => streamed.value ?? progress.data.value),
    error: computed(() => rollCall.error.value ?? progress.error.value),
    /** The newest figures of the verification's queue; only the launching side gets them. */
    queue,
    connection,
    isLive,
    reload: () => Promise.all([rollCall.refetch(), progress.refetch()]),
    /** Read again what an act changed. */
    invalidate: () => queryClient.invalidateQueries({ queryKey: ['roll-call', toValue(id)] }),
  }
}

/** The share of the students who must check in and have an outcome, in percent; 100 where no student must. */
export function doneShare(totals: Pick<Totals, 'obligations' | 'waiting'>): number {
  if (totals.obligations === 0) return 100
  return Math.floor(((totals.obligations - totals.waiting) / totals.obligations) * 100)
}
