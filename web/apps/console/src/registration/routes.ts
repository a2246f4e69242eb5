import type { RouteRecordRaw } from 'vue-router'

const registrations = { menu: 'registrations', title: 'menu.registrations' } as const
const qualifications = { menu: 'qualifications', title: 'menu.qualifications' } as const

/** Registration of students, and the qualification of schools. */
export const registrationRoutes: RouteRecordRaw[] = [
  {
    path: '/registrations',
    name: 'registrations',
    component: () => import('./RegistrationList.vue'),
    meta: registrations,
  },
  {
    path: '/registrations/schools',
    name: 'registration-schools',
    component: () => import('./SchoolRegistrations.vue'),
    meta: { ...registrations, roles: ['province', 'bureau'] },
  },
  {
    path: '/registrations/permissions',
    name: 'registration-permissions',
    component: () => import('./PermissionList.vue'),
    meta: registrations,
  },
  {
    path: '/graduations',
    name: 'graduations',
    component: () => import('./GraduationList.vue'),
    meta: registrations,
  },
  {
    path: '/classes/:id/graduation',
    name: 'class-graduation',
    component: () => import('./ClassGraduation.vue'),
    meta: { menu: 'classes', title: 'graduation.title', roles: ['registrar'] },
  },
  {
    path: '/qualifications',
    name: 'qualifications',
    component: () => import('../qualifications/QualificationList.vue'),
    meta: qualifications,
  },
  {
    path: '/qualifications/:id',
    name: 'qualification',
    component: () => import('../qualifications/QualificationPage.vue'),
    meta: qualifications,
  },
]
