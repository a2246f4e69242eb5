import type { StaffSchemas } from '@dianming/api/staff'

import type { ReminderResult } from './use-reminders.ts'

export type RowResult = StaffSchemas['RowOut']

/** Students of one request; the API takes no more. */
export const MAX_ROWS = 100

/** How many students were reminded, and how many were refused for each reason. */
export function summariseRows(rows: readonly RowResult[]): ReminderResult[] {
  const done = rows.filter((row) => row.error === null).length
  const refused = new Map<string, ReminderResult>()
  for (const { error } of rows) {
    if (error === null) continue
    const known = refused.get(error.code)
    if (known) known.students += 1
    else refused.set(error.code, { key: error.code, name: '', students: 1, error })
  }
  const reminded = { key: 'done', name: '', students: done, error: undefined }
  return [...(done > 0 ? [reminded] : []), ...refused.values()]
}
