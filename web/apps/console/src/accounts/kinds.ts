import type { StaffSchemas } from '@dianming/api/staff'

export type InvitedKind = StaffSchemas['InvitationIn']['kind']
type Role = StaffSchemas['StaffMeOut']['kind']

/** What a role may invite: its own level at the province, else the levels directly below (HN334-2.3, HN334-3.2). */
export function invitedKinds(role: Role | undefined): readonly InvitedKind[] {
  if (role === 'province') return ['bureau', 'registrar', 'province']
  if (role === 'bureau') return ['registrar', 'bureau']
  if (role === 'registrar') return ['counselor']
  return []
}

/** The kinds of unit that an account of this kind belongs to. */
export function unitKinds(kind: InvitedKind): readonly string[] {
  if (kind === 'province') return ['province']
  return kind === 'bureau' ? ['city', 'county'] : ['school']
}

/** Whether the unit follows from the own one: a counselor's is the own school, a peer's the own province. */
export function isOwnUnit(kind: InvitedKind): boolean {
  return kind === 'counselor' || kind === 'province'
}

/** The page that activates an account. Login and code stand in the fragment, which browsers do not send to the server. */
export function activationLink(origin: string, login: string, code: string): string {
  return `${origin}/c/activation#${new URLSearchParams({ login, code })}`
}
