import type { Client } from 'openapi-fetch'

import { type ClientHooks, createApiClient } from './client.ts'
import type { components, paths } from './generated/staff.ts'

/** The schemas of the staff API by name: `StaffSchemas['StaffMeOut']`. */
export type StaffSchemas = components['schemas']
export type StaffClient = Client<paths>

/** The sorts of a list of the API: `ListSort<'/v1/students'>`. */
export type ListSort<Path extends keyof paths> = paths[Path] extends {
  get: { parameters: { query?: { sort?: infer Sort } } }
}
  ? Sort
  : never

/** A client of the API of staff. */
export function createStaffClient(hooks: ClientHooks): StaffClient {
  return createApiClient<paths>(`${location.origin}/staff`, hooks)
}
export { StaffSession } from './staff-session.ts'
