import { useSession } from '@dianming/staff'
import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'

import { toLocal } from '../roll-calls/launch/draft.ts'

/** The place and the day of a page, in its address. Without them the server takes the caller's place and today. */
export function useLawQuery() {
  const route = useRoute()
  const router = useRouter()
  const { clock } = useSession()

  function textOf(name: string): string {
    const value = route.query[name]
    return typeof value === 'string' ? value : ''
  }

  const place = computed(() => textOf('place'))
  const on = computed(() => textOf('on') || toLocal(clock.nowMs()).slice(0, 10))
  const search = computed(() => textOf('q'))

  async function change(changes: Record<string, string>): Promise<void> {
    const asked = { ...route.query, ...changes }
    await router.replace({ query: Object.fromEntries(Object.entries(asked).filter(([, value]) => value)) })
  }

  return { place, on, search, textOf, change }
}
