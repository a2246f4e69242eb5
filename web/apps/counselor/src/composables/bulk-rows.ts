import type { StaffSchemas } from '@dianming/api/staff'

export type RowResult = StaffSchemas['RowOut']
type RowError = StaffSchemas['RowErrorOut']

/** Rows of one request; the API takes no more. */
export const MAX_ROWS = 100

/** The ids in parts that one request can take. */
export function inChunks(ids: readonly string[]): string[][] {
  const count = Math.ceil(ids.length / MAX_ROWS)
  return Array.from({ length: count }, (_, n) => ids.slice(n * MAX_ROWS, (n + 1) * MAX_ROWS))
}

/** How many rows were refused for each reason. */
export function countRefusals(rows: readonly RowResult[]): { error: RowError; rows: number }[] {
  const refused = new Map<string, { error: RowError; rows: number }>()
  for (const { error } of rows) {
    if (error === null) continue
    const known = refused.get(error.code)
    if (known) known.rows += 1
    else refused.set(error.code, { error, rows: 1 })
  }
  return [...refused.values()]
}
