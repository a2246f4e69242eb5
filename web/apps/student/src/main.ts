import '@dianming/ui/theme.css'
import './student.css'

import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { ApiError } from '@dianming/api'
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

const app = createApp(App)
app.use(createPinia()).use(createAppRouter()).use(i18n).use(VueQueryPlugin, { queryClient })
void ready.then(() => app.mount('#app'))
