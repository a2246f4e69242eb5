import { content } from '@dianming/api'
import { useQueryClient } from '@tanstack/vue-query'
import { useRouter } from 'vue-router'

import { useSession } from '../stores/session.ts'
import { STEP_PAGES, STEPS } from './steps.ts'

/** Goes to the next open step of the activation, or to the list of steps if none is open. */
export function useNextStep() {
  const router = useRouter()
  const queries = useQueryClient()
  const { api } = useSession()

  return async function goNext(): Promise<void> {
    const me = await queries.fetchQuery({
      queryKey: ['me'],
      queryFn: ({ signal }) => content(api.GET('/v1/me', { signal })),
      staleTime: 0,
    })
    const next = STEPS.find((step) => me.open.includes(step))
    await router.replace({ name: (next && STEP_PAGES[next]) ?? 'activation' })
  }
}
