import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import { useSession } from './stores/session.ts'

declare module 'vue-router' {
  interface RouteMeta {
    /** The page works on a phone that is not registered. */
    public?: boolean
    /** The page shows the tabs. */
    tabs?: boolean
    /** The page makes no queries. */
    withoutQueries?: boolean
  }
}

const page = (path: string, name: string, component: RouteRecordRaw['component'], meta = {}) =>
  ({ path, name, component, meta, props: true }) as RouteRecordRaw

const routes: RouteRecordRaw[] = [
  page('/', 'roll-calls', () => import('./pages/RollCalls.vue'), { tabs: true }),
  page('/leave', 'leave', () => import('./pages/Leave.vue'), { tabs: true }),
  page('/notices', 'notices', () => import('./pages/Notices.vue'), { tabs: true }),
  page('/me', 'me', () => import('./pages/Me.vue'), { tabs: true }),
  page('/history', 'history', () => import('./pages/History.vue')),
  page('/roll-calls/:id', 'roll-call', () => import('./pages/RollCall.vue')),
  page('/roll-calls/:id/check-in', 'check-in', () => import('./pages/CheckIn.vue')),
  page('/roll-calls/:id/in-person', 'in-person', () => import('./pages/InPerson.vue')),
  page('/roll-calls/:id/claim', 'claim', () => import('./pages/Claim.vue')),
  page('/activation', 'activation', () => import('./pages/Activation.vue')),
  page('/activation/record', 'record', () => import('./pages/Record.vue')),
  page('/activation/consents', 'consents', () => import('./pages/Consents.vue')),
  page('/activation/face', 'face', () => import('./pages/Face.vue')),
  page('/activation/portrait', 'portrait', () => import('./pages/Portrait.vue')),
  page('/me/verification-route', 'verification-route', () => import('./pages/VerificationRoute.vue')),
  page('/leave/new', 'leave-new', () => import('./pages/LeaveNew.vue')),
  page('/leave/:id', 'leave-request', () => import('./pages/LeaveRequest.vue')),
  page('/me/standing', 'standing', () => import('./pages/Standing.vue')),
  page('/me/prompts/:id', 'prompt', () => import('./pages/Prompt.vue')),
  page('/me/explanations/:kind/:id', 'explanation', () => import('./pages/Explanation.vue')),
  page('/me/claims', 'claims', () => import('./pages/Claims.vue')),
  page('/me/appeals', 'appeals', () => import('./pages/Appeals.vue')),
  page('/me/appeals/new', 'appeal-new', () => import('./pages/AppealNew.vue')),
  page('/me/appeals/:id', 'appeal', () => import('./pages/Appeal.vue')),
  page('/me/aid', 'aid', () => import('./pages/Aid.vue')),
  page('/me/picture-views', 'picture-views', () => import('./pages/PictureViews.vue')),
  page('/me/phone-changes', 'phone-changes', () => import('./pages/PhoneChanges.vue')),
  page('/me/data', 'own-data', () => import('./pages/OwnData.vue')),
  page('/guardian', 'guardian', () => import('./pages/Guardian.vue'), { public: true }),
  page('/welcome', 'welcome', () => import('./pages/Welcome.vue'), { public: true, withoutQueries: true }),
  page('/:rest(.*)', 'not-found', () => import('./pages/NotFound.vue'), {
    public: true,
    withoutQueries: true,
  }),
]

/** Create the router. `installQueries` is called before the first page that makes queries. */
export function createAppRouter(installQueries: () => Promise<void>) {
  const router = createRouter({ history: createWebHistory('/m/'), routes })
  let installed: Promise<void> | undefined
  const install = () =>
    (installed ??= installQueries().catch((error: unknown) => {
      installed = undefined // the network failed: the next navigation tries again
      throw error
    }))
  router.beforeEach(async (to) => {
    if (!to.meta.public && !(await useSession().load())) return { name: 'welcome' }
    if (!to.meta.withoutQueries) await install()
    return true
  })
  return router
}
