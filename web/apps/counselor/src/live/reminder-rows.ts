import { countRefusals, type RowResult } from '../composables/bulk-rows.ts'
import type { ReminderResult } from './use-reminders.ts'

/** How many students were reminded, and how many were refused for each reason. */
export function summariseRows(rows: readonly RowResult[]): ReminderResult[] {
  const done = rows.filter((row) => row.error === null).length
  const reminded = { key: 'done', name: '', students: done, error: undefined }
  const refused = countRefusals(rows).map((each) => ({
    key: each.error.code,
    name: '',
    students: each.rows,
    error: each.error,
  }))
  return [...(done > 0 ? [reminded] : []), ...refused]
}
