import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import { useSession } from './stores/session.ts'

declare module 'vue-router' {
  interface RouteMeta {
    /** The page works on a phone that is not registered. */
    public?: boolean
    /** The page shows the tabs. */
    tabs?: boolean
  }
}

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'roll-calls', component: () => import('./pages/RollCalls.vue'), meta: { tabs: true } },
  { path: '/leave', name: 'leave', component: () => import('./pages/Leave.vue'), meta: { tabs: true } },
  { path: '/notices', name: 'notices', component: () => import('./pages/Notices.vue'), meta: { tabs: true } },
  { path: '/me', name: 'me', component: () => import('./pages/Me.vue'), meta: { tabs: true } },
  {
    path: '/welcome',
    name: 'welcome',
    component: () => import('./pages/Welcome.vue'),
    meta: { public: true },
  },
  {
    path: '/:rest(.*)',
    name: 'not-found',
    component: () => import('./pages/NotFound.vue'),
    meta: { public: true },
  },
]

export function createAppRouter() {
  const router = createRouter({ history: createWebHistory('/m/'), routes })
  router.beforeEach(async (to) => {
    if (to.meta.public || (await useSession().load())) return true
    return { name: 'welcome' }
  })
  return router
}
