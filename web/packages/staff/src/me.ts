import { content } from '@dianming/api'
import { useQuery } from '@tanstack/vue-query'
import { computed } from 'vue'

import { useSession } from './session.ts'

/** The signed-in account. */
export function useMe() {
  const session = useSession()
  const query = useQuery({
    queryKey: ['me'],
    queryFn: ({ signal }) => content(session.api.GET('/v1/me', { signal })),
    enabled: () => session.isSignedIn,
    staleTime: 300_000,
  })
  return { ...query, role: computed(() => query.data.value?.kind) }
}
