import { ApiError } from '@dianming/api'
import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import type { App } from 'vue'

const MAX_RETRIES = 2

/** Install the cache of answers, once. A module of its own: the page that registers a phone does not need it. */
export function installQueries(app: App): void {
  const queryClient = new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 15_000,
        retry: (failures, error) => failures < MAX_RETRIES && error instanceof ApiError && error.isTemporary,
      },
    },
  })
  app.use(VueQueryPlugin, { queryClient })
}
