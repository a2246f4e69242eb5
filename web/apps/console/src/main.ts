import '@dianming/ui/theme.css'
import './theme.css'

import { ApiError } from '@dianming/api'
import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { createPinia } from 'pinia'
import { createApp } from 'vue'

import App from './App.vue'
import { i18n, ready } from './i18n.ts'
import { createAppRouter } from './router.ts'

const MAX_RETRIES = 2

const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      retry: (failures, error) => failures < MAX_RETRIES && error instanceof ApiError && error.isTemporary,
    },
  },
})

// A page of an older build is gone after an update of the server: load the new build.
window.addEventListener('vite:preloadError', () => location.reload())

const app = createApp(App)
app.use(createPinia()).use(createAppRouter()).use(i18n).use(VueQueryPlugin, { queryClient })
void ready.then(() => app.mount('#app'))
