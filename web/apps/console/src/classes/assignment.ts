import type { StaffSchemas } from '@dianming/api/staff'

export type BulkResults = StaffSchemas['BulkOut']

/** Rows of one request, as the API limits them. */
export const MAX_ROWS = 100

/** The rows of a request in parts that the API accepts. */
export function inChunks<T>(rows: readonly T[]): T[][] {
  const parts: T[][] = []
  for (let at = 0; at < rows.length; at += MAX_ROWS) parts.push(rows.slice(at, at + MAX_ROWS))
  return parts
}

/** The results of several parts as those of one act. */
export function joined(parts: readonly BulkResults[]): BulkResults {
  return {
    rows: parts.flatMap((each) => each.rows),
    done: parts.reduce((sum, each) => sum + each.done, 0),
    unchanged: parts.reduce((sum, each) => sum + each.unchanged, 0),
    refused: parts.reduce((sum, each) => sum + each.refused, 0),
  }
}

/** The classes that a drag moves: all chosen ones if it began on one of them, otherwise that one only. */
export function dragged(id: string, chosen: readonly string[]): string[] {
  return chosen.includes(id) ? [...chosen] : [id]
}
