import type { Client } from 'openapi-fetch'

import { type ClientHooks, createApiClient } from './client.ts'
import type { components, paths } from './generated/mobile.ts'

/** The schemas of the mobile API by name: `MobileSchemas['OwnRollCallOut']`. */
export type MobileSchemas = components['schemas']
export type MobileClient = Client<paths>

/** A client of the student's API. */
export function createMobileClient(hooks: ClientHooks): MobileClient {
  return createApiClient<paths>(`${location.origin}/mobile`, hooks)
}
