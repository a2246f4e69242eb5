import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import { useSession } from './stores/session.ts'

declare module 'vue-router' {
  interface RouteMeta {
    /** The page needs no sign-in. */
    public?: boolean
    /** The page shows the tabs. */
    tabs?: boolean
  }
}

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'roll-calls', component: () => import('./pages/RollCalls.vue'), meta: { tabs: true } },
  { path: '/tasks', name: 'tasks', component: () => import('./pages/Tasks.vue'), meta: { tabs: true } },
  {
    path: '/students',
    name: 'students',
    component: () => import('./pages/Students.vue'),
    meta: { tabs: true },
  },
  { path: '/me', name: 'me', component: () => import('./pages/Me.vue'), meta: { tabs: true } },
  {
    path: '/sign-in',
    name: 'sign-in',
    component: () => import('./pages/SignIn.vue'),
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
  const router = createRouter({ history: createWebHistory('/c/'), routes })
  router.beforeEach((to) => {
    if (to.meta.public || useSession().isSignedIn) return true
    return { name: 'sign-in', query: to.path === '/' ? {} : { next: to.fullPath } }
  })
  return router
}
