import { content } from '@dianming/api'
import { useQuery } from '@tanstack/vue-query'
import { computed, ref, watch } from 'vue'

import { useSession } from '../stores/session.ts'

/** Milliseconds to the next look: most verdicts come within two seconds of the receipt, so the first looks are close. */
const POLLS_MS = [400, 400, 400, 400, 600, 800, 1000, 1000, 1000, 1000]
const SLOW_AFTER = POLLS_MS.length
const SLOW_POLL_MS = 4000

/** Polls the verdict of a submission until there is one. */
export function useVerdict() {
  const { api } = useSession()
  const submissionId = ref<string>()
  const polls = ref(0)

  const { data: submission } = useQuery({
    queryKey: ['submissions', submissionId],
    enabled: computed(() => submissionId.value !== undefined),
    queryFn: ({ signal }) => {
      polls.value += 1
      const path = { submission_id: submissionId.value as string }
      return content(api.GET('/v1/submissions/{submission_id}', { signal, params: { path } }))
    },
    refetchInterval: ({ state }) => {
      if (state.data?.finding) return false
      return POLLS_MS[polls.value] ?? SLOW_POLL_MS
    },
  })
  watch(submissionId, () => (polls.value = 0))

  return {
    submissionId,
    submission: computed(() => (submissionId.value === undefined ? undefined : submission.value)),
    isSlow: computed(() => polls.value >= SLOW_AFTER),
  }
}
