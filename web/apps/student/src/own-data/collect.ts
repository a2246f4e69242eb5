import type { MobileClient } from '@dianming/api/mobile'
import { loadReceipts } from '@dianming/device'

interface Page {
  items: unknown[]
  next_cursor?: string | null
}

type Get = (path: string, init?: object) => Promise<{ data?: unknown }>

const RECORDS = {
  me: '/v1/me',
  record: '/v1/me/record',
  record_checks: '/v1/me/record/checks',
  consents: '/v1/me/consents',
  face: '/v1/me/face',
  portrait: '/v1/me/portrait',
  standing: '/v1/me/standing',
  standing_entries: '/v1/me/standing-entries',
  gaokao_eligibility: '/v1/me/gaokao-eligibility',
  aid: '/v1/me/aid',
  phone_changes: '/v1/me/phone-changes',
  terms: '/v1/me/terms',
  notifications: '/v1/me/push-subscription',
} as const

const LISTS = {
  roll_calls: '/v1/roll-calls',
  leave_requests: '/v1/leave-requests',
  reason_claims: '/v1/reason-claims',
  prompts: '/v1/me/prompts',
  appeals: '/v1/me/appeals',
  notices: '/v1/notices',
  picture_views: '/v1/me/picture-views',
} as const

/** What the entries of a list do not contain. */
const DETAILS = {
  prompt_details: { of: 'prompts', path: '/v1/me/prompts/{prompt_id}', id: 'prompt_id' },
  appeal_messages: { of: 'appeals', path: '/v1/me/appeals/{appeal_id}/messages', id: 'appeal_id' },
} as const

export const PARTS = [RECORDS, LISTS, DETAILS].reduce((sum, parts) => sum + Object.keys(parts).length, 1)

/**
 * Collect what the API tells the student about themselves, and the receipts of this device. A part that cannot be read is
 * named with the code of its refusal, so that the file does not look complete when it is not.
 */
export async function collectOwnData(
  api: MobileClient,
  onPart: (done: number) => void,
): Promise<Record<string, unknown>> {
  const get = api.GET as unknown as Get
  const collected: Record<string, unknown> = {}
  let done = 0
  const add = async (name: string, read: () => Promise<unknown>) => {
    collected[name] = await read().catch((error: unknown) => ({
      not_available: (error as { code?: string }).code ?? 'unknown',
    }))
    done += 1
    onPart(done)
  }
  for (const [name, path] of Object.entries(RECORDS)) await add(name, async () => (await get(path)).data)
  for (const [name, path] of Object.entries(LISTS)) await add(name, () => readAll(get, path))
  for (const [name, { of, path, id }] of Object.entries(DETAILS)) {
    const entries = Array.isArray(collected[of]) ? (collected[of] as { id: string }[]) : []
    const read = async (entry: { id: string }) =>
      (await get(path, { params: { path: { [id]: entry.id } } })).data
    await add(name, () => Promise.all(entries.map(read)))
  }
  await add('receipts', loadReceipts)
  return collected
}

async function readAll(get: Get, path: string): Promise<unknown[]> {
  const items: unknown[] = []
  let cursor: string | null = null
  do {
    const page = (await get(path, { params: { query: { cursor } } })).data as Page
    items.push(...page.items)
    cursor = page.next_cursor ?? null
  } while (cursor !== null)
  return items
}
