import { ApiError, content } from '@dianming/api'
import { useQuery } from '@tanstack/vue-query'
import { computed } from 'vue'

import { useSession } from './session.ts'

const CONFLICT = 409

/** What each decision on a prompt would do by today's facts, as the server computes it. A closed prompt has none. */
export function usePromptPreview(promptId: () => string) {
  const { api } = useSession()
  const query = useQuery({
    queryKey: computed(() => ['prompt', promptId(), 'preview']),
    queryFn: ({ signal }) =>
      content(
        api.GET('/v1/prompts/{prompt_id}/preview', { params: { path: { prompt_id: promptId() } }, signal }),
      ),
    retry: false,
  })
  /** The server says that the prompt waits for no decision. What was read before is then out of date. */
  const isClosed = computed(
    () => query.error.value instanceof ApiError && query.error.value.status === CONFLICT,
  )
  const preview = computed(() => (isClosed.value ? undefined : query.data.value))
  return { preview, isClosed, error: query.error, refetch: query.refetch }
}
