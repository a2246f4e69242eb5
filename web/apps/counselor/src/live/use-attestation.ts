import { ApiError, content } from '@dianming/api'
import { accuracyBand, type Fix, PositionProblem, takeFix } from '@dianming/device'
import type { StaffSchemas } from '@dianming/api/staff'
import { useAct, useBilingual, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed, ref } from 'vue'

import { limitFor } from './attestation-limits.ts'
import { CODE_DIGITS } from './card-code.ts'

type ReasonCode = StaffSchemas['AttestationReasonOut']['code']

/** A position older than this is measured again before it is sent. */
const FRESH_MS = 45_000

/** The last position, for the next student: a counselor attests many at one place. */
const fix = ref<Fix>()

/** The presence of one student, confirmed on the spot. */
export function useAttestation(rollCallId: () => string, studentId: () => string, classId: () => string) {
  const { api } = useSession()
  const { say } = useBilingual()
  const code = ref('')
  const reason = ref('')
  const reasonText = ref('')
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
  const catalogue = useQuery({
    queryKey: ['attestation-reasons'],
    queryFn: ({ signal }) => content(api.GET('/v1/attestation-reasons', { signal })),
    staleTime: Number.POSITIVE_INFINITY,
  })
  const reasons = computed(() =>
    (catalogue.data.value ?? []).map((each) => ({ value: each.code, label: say(each) })),
  )
  const needsText = computed(
    () => catalogue.data.value?.find((each) => each.code === reason.value)?.needs_text ?? false,
  )
  const limits = useQuery({
    queryKey: computed(() => ['attestation-limits', rollCallId()]),
    queryFn: ({ signal }) =>
      content(
        api.GET('/v1/roll-calls/{roll_call_id}/attestation-limits', {
          params: { path: { roll_call_id: rollCallId() } },
          signal,
        }),
      ),
  })
  const limit = computed(() => (limits.data.value ? limitFor(limits.data.value, classId()) : undefined))
  const isComplete = computed(
    () =>
      code.value.length === CODE_DIGITS &&
      reason.value !== '' &&
      (!needsText.value || reasonText.value.trim() !== '') &&
      limit.value?.left !== 0 &&
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
          reason_code: reason.value as ReasonCode,
          reason: reasonText.value.trim() || null,
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
    if (done) void limits.refetch()
    return done
  }

  return {
    code,
    reason,
    reasonText,
    reasons,
    needsText,
    siteVersionId,
    sites: sites.data,
    limit,
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
