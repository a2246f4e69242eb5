import type { StaffSchemas } from '@dianming/api/staff'

/** The kinds of account that work in the console. Counselors have the page at /c/. */
export type Role = Exclude<StaffSchemas['StaffMeOut']['kind'], 'student' | 'counselor'>

/** An entry of the menu: the name of its route, and who sees it. */
export interface MenuEntry {
  id: string
  route: string
  label: string
  roles: readonly Role[]
}

const ALL: readonly Role[] = ['province', 'bureau', 'registrar']

/** The menu in the order of a working day. */
export const MENU: readonly MenuEntry[] = [
  { id: 'home', route: 'home', label: 'menu.home', roles: ALL },
  { id: 'launch', route: 'launch', label: 'menu.launch', roles: ALL },
  { id: 'roll-calls', route: 'roll-calls', label: 'menu.rollCalls', roles: ALL },
  { id: 'undetermined', route: 'undetermined', label: 'menu.undetermined', roles: ALL },
  { id: 'prompts', route: 'prompts', label: 'menu.prompts', roles: ALL },
  { id: 'changes', route: 'changes', label: 'menu.changes', roles: ALL },
  { id: 'appeals', route: 'appeals', label: 'menu.appeals', roles: ALL },
  { id: 'claims', route: 'claims', label: 'menu.claims', roles: ALL },
  { id: 'looks', route: 'looks', label: 'menu.looks', roles: ALL },
  { id: 'outages', route: 'outages', label: 'menu.outages', roles: ALL },
  { id: 'readiness', route: 'readiness', label: 'menu.readiness', roles: ALL },
  { id: 'schools', route: 'schools', label: 'menu.schools', roles: ['province', 'bureau'] },
  { id: 'sites', route: 'sites', label: 'menu.sites', roles: ALL },
  { id: 'students', route: 'students', label: 'menu.students', roles: ALL },
  { id: 'classes', route: 'classes', label: 'menu.classes', roles: ['registrar'] },
  { id: 'roster', route: 'roster', label: 'menu.roster', roles: ['registrar'] },
  { id: 'registrations', route: 'registrations', label: 'menu.registrations', roles: ALL },
  { id: 'qualifications', route: 'qualifications', label: 'menu.qualifications', roles: ALL },
  { id: 'aid', route: 'aid-applications', label: 'menu.aid', roles: ALL },
  { id: 'accounts', route: 'accounts', label: 'menu.accounts', roles: ALL },
  { id: 'terms', route: 'terms', label: 'menu.terms', roles: ALL },
  { id: 'audit', route: 'audit', label: 'menu.audit', roles: ALL },
  { id: 'retention', route: 'retention', label: 'menu.retention', roles: ['province'] },
  { id: 'law', route: 'policies', label: 'menu.law', roles: ALL },
]

/** What a role sees of the menu. */
export function menuFor(role: string | undefined): MenuEntry[] {
  return MENU.filter((each) => (each.roles as readonly string[]).includes(role ?? ''))
}
