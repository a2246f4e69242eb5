import { ApiError, content } from '@dianming/api'
import { accuracyBand, type Fix, PositionProblem, takeFix } from '@dianming/device'
import { readAll, useAct, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed, ref } from 'vue'

import { CODE_DIGITS } from './card-code.ts'

/** Why the phone was not used, in the words that are recorded. */
export const REASONS = ['手机损坏', '无智能手机', '摄像头损坏', '行动不便'] as const

/** A position older than this is measured again before it is sent. */
const FRESH_MS = 45_000

/** The last position, for the next student: a counselor attests many at one place. */
const fix = ref<Fix>()

/** The presence of one student, confirmed on the spot. */
export function useAttestation(rollCallId: () => string, studentId: () => string) {
  const { api } = useSession()
  const code = ref('')
  const reason = ref<string>('')
  const siteVersionId = ref('')
  const positionProblem = ref<PositionProblem>()
  const isLocating = ref(false)
  const act = useAct()

  const sites = useQuery({
    queryKey: computed(() => ['sites', rollCallId()]),
    queryFn: ({ signal }) =>
      content(
        api.GET('/v1/roll-calls/{roll_call_id}/sites', {
          params: { path: { roll_call_id: rollCallId() } },
          signal,
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  })
  const site = computed(() => siteVersionId.value || sites.data.value?.[0]?.site_version_id)
  const attestations = useQuery({
    queryKey: computed(() => ['attestations', rollCallId()]),
    queryFn: ({ signal }) =>
      readAll((cursor) =>
        api.GET('/v1/roll-calls/{roll_call_id}/attestations', {
          params: { path: { roll_call_id: rollCallId() }, query: { limit: 100, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
  })
  const used = computed(() => attestations.data.value?.length)
  const isComplete = computed(
    () =>
      code.value.length === CODE_DIGITS &&
      reason.value !== '' &&
      fix.value !== undefined &&
      Boolean(site.value),
  )
  const band = computed(() => (fix.value ? accuracyBand(fix.value.accuracy_m) : undefined))

  async function locate(): Promise<void> {
    if (isLocating.value) return
    isLocating.value = true
    positionProblem.value = undefined
    try {
      fix.value = await takeFix()
    } catch (error) {
      if (!(error instanceof PositionProblem)) throw error
      fix.value = undefined
      positionProblem.value = error
    } finally {
      isLocating.value = false
    }
  }

  /** Returns whether the presence was recorded. */
  async function confirm(): Promise<boolean> {
    if (!fix.value || Date.now() - fix.value.takenAtMs > FRESH_MS) await locate()
    const { value: position } = fix
    const siteId = site.value
    if (!position || !siteId) return false
    const done = await act.run(() =>
      api.POST('/v1/roll-calls/{roll_call_id}/attestations', {
        params: { path: { roll_call_id: rollCallId() } },
        body: {
          student_id: studentId(),
          code: code.value,
          site_version_id: siteId,
          reason: reason.value,
          position: {
            lon: position.lon,
            lat: position.lat,
            accuracy_m: position.accuracy_m,
            datum: position.datum,
            age_s: Math.max(0, (Date.now() - position.takenAtMs) / 1000),
          },
        },
      }),
    )
    if (act.failure.value instanceof ApiError && act.failure.value.code === 'student_code_wrong')
      code.value = ''
    if (done) void attestations.refetch()
    return done
  }

  return {
    code,
    reason,
    siteVersionId,
    sites: sites.data,
    used,
    fix,
    band,
    positionProblem,
    isLocating,
    isComplete,
    isBusy: act.isBusy,
    sentence: act.sentence,
    locate,
    confirm,
  }
}
