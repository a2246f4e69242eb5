import type { StaffSchemas } from '@dianming/api/staff'
import type { RouteLocationRaw } from 'vue-router'

type Entry = StaffSchemas['AuditEntryOut']

/** The pages of the records that an entry can be about, by the type of the record. */
const PAGES: Record<string, string> = {
  account: 'account',
  aid_application: 'aid-application',
  aid_export: 'aid-export',
  aid_filing: 'aid-withdrawal',
  appeal: 'appeal',
  change_request: 'change',
  prompt: 'prompt',
  roll_call: 'roll-call',
  student: 'student',
}

/** The page of the record of an entry, if it has one. An outcome belongs to its roll call. */
export function pageOf(entry: Pick<Entry, 'subject_type' | 'subject_id'>): RouteLocationRaw | undefined {
  if (entry.subject_type === 'outcome') {
    return { name: 'roll-call', params: { id: entry.subject_id.split('/')[0] ?? '' } }
  }
  const name = PAGES[entry.subject_type]
  return name ? { name, params: { id: entry.subject_id } } : undefined
}

/** What changed, one line a value: `status: active → disabled`. */
export function changesOf(entry: Pick<Entry, 'before' | 'after'>): string[] {
  const { before, after } = entry
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])
  return [...keys].map((key) => {
    const [earlier, later] = [valueOf(before, key), valueOf(after, key)]
    if (earlier === undefined) return `${key}: ${later}`
    return later === undefined ? `${key}: ${earlier} →` : `${key}: ${earlier} → ${later}`
  })
}

function valueOf(values: Record<string, unknown> | null, key: string): string | undefined {
  if (!values || !(key in values)) return undefined
  const value = values[key]
  return typeof value === 'string' ? value : JSON.stringify(value)
}
