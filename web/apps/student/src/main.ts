import '@dianming/ui/theme.css'
import './student.css'

import { createPinia } from 'pinia'
import { createApp } from 'vue'

import App from './App.vue'
import { i18n, ready } from './i18n.ts'
import { createAppRouter } from './router.ts'

const app = createApp(App)
const router = createAppRouter(async () => (await import('./queries.ts')).installQueries(app))
app.use(createPinia()).use(router).use(i18n)
void ready.then(() => app.mount('#app'))
