import { useSession } from '@dianming/staff'
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import type { Role } from './layout/menu.ts'
import { registrationRoutes } from './registration/routes.ts'

declare module 'vue-router' {
  interface RouteMeta {
    /** The page needs no sign-in. */
    public?: boolean
    /** The entry of the menu that the page belongs to. */
    menu?: string
    /** The key of the title. */
    title?: string
    /** The roles that may open the page; without it, all of staff. */
    roles?: readonly Role[]
    /** The page fills the screen, without menu and header. */
    bare?: boolean
  }
}

const rollCalls = { menu: 'roll-calls', title: 'menu.rollCalls' } as const

const sites = { menu: 'sites', title: 'menu.sites' } as const

const aid = { menu: 'aid', title: 'menu.aid' } as const

const accounts = { menu: 'accounts', title: 'menu.accounts' } as const

const law = { menu: 'law', title: 'menu.law' } as const

const classes = { menu: 'classes', title: 'menu.classes', roles: ['registrar'] } as const

const routes: RouteRecordRaw[] = [
  {
    path: '/',
    name: 'home',
    component: () => import('./pages/Home.vue'),
    meta: { menu: 'home', title: 'menu.home' },
  },
  {
    path: '/roll-calls',
    name: 'roll-calls',
    component: () => import('./roll-calls/RollCallList.vue'),
    meta: rollCalls,
  },
  {
    path: '/roll-calls/launch',
    name: 'launch',
    component: () => import('./roll-calls/launch/LaunchWizard.vue'),
    meta: { menu: 'launch', title: 'menu.launch' },
  },
  {
    path: '/roll-calls/:id',
    name: 'roll-call',
    component: () => import('./roll-calls/board/LiveBoard.vue'),
    meta: rollCalls,
  },
  {
    path: '/roll-calls/:id/wall',
    name: 'wall',
    component: () => import('./roll-calls/board/WallScreen.vue'),
    meta: { ...rollCalls, bare: true },
  },
  {
    path: '/roll-calls/:id/results/:student',
    name: 'result',
    component: () => import('./results/DeterminationPage.vue'),
    meta: { menu: 'roll-calls', title: 'menu.rollCalls' },
  },
  {
    path: '/undetermined',
    name: 'undetermined',
    component: () => import('./results/UndeterminedList.vue'),
    meta: { menu: 'undetermined', title: 'menu.undetermined' },
  },
  {
    path: '/prompts',
    name: 'prompts',
    component: () => import('./prompts/PromptList.vue'),
    meta: { menu: 'prompts', title: 'menu.prompts' },
  },
  {
    path: '/prompts/:id',
    name: 'prompt',
    component: () => import('./prompts/PromptPage.vue'),
    meta: { menu: 'prompts', title: 'menu.prompts' },
  },
  {
    path: '/changes',
    name: 'changes',
    component: () => import('./changes/ChangeList.vue'),
    meta: { menu: 'changes', title: 'menu.changes' },
  },
  {
    path: '/changes/:id',
    name: 'change',
    component: () => import('./changes/ChangePage.vue'),
    meta: { menu: 'changes', title: 'menu.changes' },
  },
  {
    path: '/appeals',
    name: 'appeals',
    component: () => import('./appeals/AppealList.vue'),
    meta: { menu: 'appeals', title: 'menu.appeals' },
  },
  {
    path: '/appeals/:id',
    name: 'appeal',
    component: () => import('./appeals/AppealPage.vue'),
    meta: { menu: 'appeals', title: 'menu.appeals' },
  },
  {
    path: '/claims',
    name: 'claims',
    component: () => import('./claims/ClaimList.vue'),
    meta: { menu: 'claims', title: 'menu.claims' },
  },
  {
    path: '/claims/:id',
    name: 'claim',
    component: () => import('./claims/ClaimPage.vue'),
    meta: { menu: 'claims', title: 'menu.claims' },
  },
  {
    path: '/looks',
    name: 'looks',
    component: () => import('./looks/LookList.vue'),
    meta: { menu: 'looks', title: 'menu.looks' },
  },
  {
    path: '/looks/:id',
    name: 'look',
    component: () => import('./looks/LookPage.vue'),
    meta: { menu: 'looks', title: 'menu.looks' },
  },
  {
    path: '/outages',
    name: 'outages',
    component: () => import('./outages/OutageList.vue'),
    meta: { menu: 'outages', title: 'menu.outages' },
  },
  {
    path: '/outages/:id',
    name: 'outage',
    component: () => import('./outages/OutagePage.vue'),
    meta: { menu: 'outages', title: 'menu.outages' },
  },
  {
    path: '/readiness',
    name: 'readiness',
    component: () => import('./readiness/Readiness.vue'),
    meta: { menu: 'readiness', title: 'menu.readiness' },
  },
  {
    path: '/schools',
    name: 'schools',
    component: () => import('./schools/SchoolList.vue'),
    meta: { menu: 'schools', title: 'menu.schools', roles: ['province', 'bureau'] },
  },
  {
    path: '/sites',
    name: 'sites',
    component: () => import('./sites/SiteList.vue'),
    meta: sites,
  },
  {
    path: '/sites/new',
    name: 'site-new',
    component: () => import('./sites/FileSite.vue'),
    meta: { ...sites, title: 'sites.fileNew', roles: ['registrar'] },
  },
  {
    path: '/sites/:id',
    name: 'site',
    component: () => import('./sites/SitePage.vue'),
    meta: sites,
  },
  {
    path: '/sites/:id/versions/new',
    name: 'site-version-new',
    component: () => import('./sites/FileSite.vue'),
    meta: { ...sites, title: 'sites.fileVersion', roles: ['registrar'] },
  },
  {
    path: '/students',
    name: 'students',
    component: () => import('./students/StudentList.vue'),
    meta: { menu: 'students', title: 'menu.students' },
  },
  {
    path: '/students/:id',
    name: 'student',
    component: () => import('./students/StudentPage.vue'),
    meta: { menu: 'students', title: 'menu.students' },
  },
  {
    path: '/students/:id/aid',
    name: 'student-aid',
    component: () => import('./students/StudentAid.vue'),
    meta: { menu: 'students', title: 'students.aid.open' },
  },
  {
    path: '/students/:id/leave/:leave',
    name: 'student-leave',
    component: () => import('./students/StudentLeave.vue'),
    meta: { menu: 'students', title: 'menu.students' },
  },
  {
    path: '/standing-entries/:id',
    name: 'standing-entry',
    component: () => import('./explanations/ExplanationPage.vue'),
    meta: { menu: 'students', title: 'explanation.title' },
  },
  {
    path: '/classes',
    name: 'classes',
    component: () => import('./classes/ClassList.vue'),
    meta: classes,
  },
  {
    path: '/classes/:id',
    name: 'class',
    component: () => import('./classes/ClassPage.vue'),
    meta: { menu: 'classes', title: 'menu.classes' },
  },
  {
    path: '/classes/:id/cards',
    name: 'class-cards',
    component: () => import('./classes/CardSheet.vue'),
    meta: { ...classes, title: 'classes.cards.open' },
  },
  {
    path: '/roster',
    name: 'roster',
    component: () => import('./roster/RosterUpload.vue'),
    meta: { menu: 'roster', title: 'menu.roster', roles: ['registrar'] },
  },
  {
    path: '/aid/applications',
    name: 'aid-applications',
    component: () => import('./aid/ApplicationList.vue'),
    meta: aid,
  },
  {
    path: '/aid/applications/:id',
    name: 'aid-application',
    component: () => import('./aid/ApplicationPage.vue'),
    meta: aid,
  },
  {
    path: '/aid/withdrawals',
    name: 'aid-withdrawals',
    component: () => import('./aid/WithdrawalList.vue'),
    meta: aid,
  },
  {
    path: '/aid/withdrawals/:id',
    name: 'aid-withdrawal',
    component: () => import('./aid/WithdrawalPage.vue'),
    meta: aid,
  },
  {
    path: '/aid/exports',
    name: 'aid-exports',
    component: () => import('./aid/ExportList.vue'),
    meta: aid,
  },
  {
    path: '/aid/exports/:id',
    name: 'aid-export',
    component: () => import('./aid/ExportPage.vue'),
    meta: aid,
  },
  {
    path: '/aid/balance',
    name: 'aid-balance',
    component: () => import('./aid/BalanceReport.vue'),
    meta: aid,
  },
  {
    path: '/accounts',
    name: 'accounts',
    component: () => import('./accounts/AccountList.vue'),
    meta: accounts,
  },
  {
    path: '/accounts/new',
    name: 'account-new',
    component: () => import('./accounts/AccountNew.vue'),
    meta: { ...accounts, title: 'accounts.new' },
  },
  {
    path: '/accounts/counselors',
    name: 'counselor-invitations',
    component: () => import('./accounts/CounselorInvitations.vue'),
    meta: { ...accounts, title: 'accounts.list.title' },
  },
  {
    path: '/accounts/resets',
    name: 'account-resets',
    component: () => import('./accounts/ResetList.vue'),
    meta: { ...accounts, title: 'accounts.resets.title' },
  },
  {
    path: '/accounts/:id',
    name: 'account',
    component: () => import('./accounts/AccountPage.vue'),
    meta: accounts,
  },
  {
    path: '/terms',
    name: 'terms',
    component: () => import('./terms/TermList.vue'),
    meta: { menu: 'terms', title: 'menu.terms' },
  },
  {
    path: '/audit',
    name: 'audit',
    component: () => import('./audit/AuditSearch.vue'),
    meta: { menu: 'audit', title: 'menu.audit' },
  },
  {
    path: '/replay-differences',
    name: 'replay-differences',
    component: () => import('./audit/ReplayDifferences.vue'),
    meta: { menu: 'home', title: 'replay.title' },
  },
  {
    path: '/retention',
    name: 'retention',
    component: () => import('./retention/RetentionRuns.vue'),
    meta: { menu: 'retention', title: 'menu.retention', roles: ['province'] },
  },
  {
    path: '/me',
    name: 'own-account',
    component: () => import('./accounts/OwnAccount.vue'),
    meta: { title: 'accounts.own.title' },
  },
  {
    path: '/law',
    name: 'policies',
    component: () => import('./law/PolicyList.vue'),
    meta: law,
  },
  {
    path: '/law/policy',
    name: 'policy',
    component: () => import('./law/PolicyPage.vue'),
    meta: law,
  },
  {
    path: '/law/clauses',
    name: 'clauses',
    component: () => import('./law/ClauseList.vue'),
    meta: { ...law, title: 'law.pages.clauses' },
  },
  {
    path: '/law/simulator',
    name: 'simulator',
    component: () => import('./law/LawSimulator.vue'),
    meta: { ...law, title: 'law.pages.simulator' },
  },
  {
    path: '/sign-in',
    name: 'sign-in',
    component: () => import('./pages/SignIn.vue'),
    meta: { public: true, title: 'signIn.title' },
  },
  ...registrationRoutes,
  {
    path: '/:rest(.*)',
    name: 'not-found',
    component: () => import('./pages/NotFound.vue'),
    meta: { public: true, title: 'error.notFound' },
  },
]

export function createAppRouter() {
  const router = createRouter({
    history: createWebHistory('/console/'),
    routes,
    scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  })
  router.beforeEach((to) => {
    if (to.meta.public || useSession().isSignedIn) return true
    return { name: 'sign-in', query: to.path === '/' ? {} : { next: to.fullPath } }
  })
  return router
}
