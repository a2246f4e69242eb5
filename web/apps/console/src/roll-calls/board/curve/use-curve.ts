import { content } from '@dianming/api'
import { useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed, type MaybeRefOrGetter, shallowRef, toValue, watch } from 'vue'

import type { Progress } from '../use-board.ts'
import { joinPoints, type Point, withNewest } from './points.ts'

/**
 * The outcomes of a unit over time. The server's curve is read once, and again with the settlement; until then the totals of the
 * stream continue it.
 */
export function useCurve(
  id: MaybeRefOrGetter<string>,
  unitId: MaybeRefOrGetter<string | undefined>,
  progress: MaybeRefOrGetter<Progress | undefined>,
  isLive: MaybeRefOrGetter<boolean>,
) {
  const session = useSession()
  const live = shallowRef<Point[]>([])

  const curve = useQuery({
    queryKey: computed(() => ['curve', toValue(id), toValue(unitId), toValue(isLive)]),
    queryFn: ({ signal }) => {
      const unit = toValue(unitId)
      return content(
        session.api.GET('/v1/roll-calls/{roll_call_id}/progress/curve', {
          params: { path: { roll_call_id: toValue(id) }, query: unit ? { unit_id: unit } : {} },
          signal,
        }),
      )
    },
  })

  watch([() => toValue(id), () => toValue(unitId), () => toValue(isLive)], () => (live.value = []))
  watch([() => toValue(progress), curve.data], ([totals]) => {
    const data = curve.data.value
    if (!data || !totals || !toValue(isLive) || totals.unit_id !== data.unit_id) return
    live.value = withNewest(
      live.value,
      new Date(session.clock.nowMs()).toISOString(),
      totals,
      data.step_seconds,
    )
  })

  return {
    points: computed(() => joinPoints(curve.data.value?.points ?? [], live.value)),
    obligations: computed(() => curve.data.value?.obligations ?? 0),
    error: curve.error,
    refetch: curve.refetch,
  }
}
