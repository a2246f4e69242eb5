import { content } from '@dianming/api'
import { computed, type MaybeRefOrGetter, toValue } from 'vue'

import { usePagedList } from '../composables/paged-list.ts'
import { useSession } from '../stores/session.ts'

const REFRESH_MS = 60_000

/** The student's roll calls, newest first, by pages: of all terms, or of one. */
export function useRollCalls(term?: MaybeRefOrGetter<string | undefined>) {
  const { api } = useSession()
  const code = computed(() => toValue(term) ?? null)
  return usePagedList(
    ['roll-calls', 'list', code],
    (cursor, signal) => {
      const query = { cursor, term_code: code.value }
      return content(api.GET('/v1/roll-calls', { signal, params: { query } }))
    },
    REFRESH_MS,
  )
}
