import { useSession } from '@dianming/staff'
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

declare module 'vue-router' {
  interface RouteMeta {
    /** The page needs no sign-in. */
    public?: boolean
    /** The tab that the page belongs to; a page without one shows no tabs. */
    tab?: 'roll-calls' | 'tasks' | 'students' | 'me'
    /** The key of the title. */
    title?: string
  }
}

const rollCall = { tab: 'roll-calls', title: 'tabs.rollCalls' } as const
const tasks = { tab: 'tasks', title: 'tabs.tasks' } as const
const students = { tab: 'students', title: 'tabs.students' } as const
const me = { tab: 'me', title: 'tabs.me' } as const

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'roll-calls', component: () => import('./pages/RollCalls.vue'), meta: rollCall },
  {
    path: '/roll-calls/:id/:studentId?',
    name: 'roll-call',
    component: () => import('./pages/RollCall.vue'),
    meta: rollCall,
  },
  { path: '/tasks/:kind?/:id?', name: 'tasks', component: () => import('./pages/Tasks.vue'), meta: tasks },
  {
    path: '/students/:id?',
    name: 'students',
    component: () => import('./pages/Students.vue'),
    meta: students,
  },
  { path: '/me', name: 'me', component: () => import('./pages/Me.vue'), meta: me },
  {
    path: '/sign-in',
    name: 'sign-in',
    component: () => import('./pages/SignIn.vue'),
    meta: { public: true, title: 'signIn.title' },
  },
  {
    path: '/activation',
    name: 'activation',
    component: () => import('./pages/Activation.vue'),
    meta: { public: true, title: 'activation.title' },
  },
  {
    path: '/:rest(.*)',
    name: 'not-found',
    component: () => import('./pages/NotFound.vue'),
    meta: { public: true, title: 'error.notFound' },
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
