import { content } from '@dianming/api'
import { useQuery } from '@tanstack/vue-query'

import { useSession } from '../stores/session.ts'

/** The student and the steps of the activation. */
export function useMe() {
  const { api } = useSession()
  return useQuery({ queryKey: ['me'], queryFn: ({ signal }) => content(api.GET('/v1/me', { signal })) })
}
