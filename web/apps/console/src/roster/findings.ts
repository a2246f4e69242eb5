import type { StaffSchemas } from '@dianming/api/staff'

export type Finding = StaffSchemas['FindingOut']
export type Summary = StaffSchemas['RosterSummaryOut']

/** What the address of the page can say about findings: a filter, and one finding of one file. */
export interface FindingQuery {
  severity?: string
  code?: string
  /** Sheet, cell and code of a finding. */
  at?: string
  /** The first characters of the SHA-256 of the file. */
  file?: string
}

/** Characters of a hash that tell files apart in an address. */
const HASH_LENGTH = 12

/** Where a finding is: the letter of the column and the row, as a spreadsheet names a cell. */
export function cellName(finding: Pick<Finding, 'letter' | 'row'>): string {
  return `${finding.letter}${finding.row}`
}

/** A finding as an address names it. */
export function positionOf(finding: Pick<Finding, 'sheet' | 'letter' | 'row' | 'code'>): string {
  return `${finding.sheet}!${cellName(finding)}:${finding.code}`
}

/** What an address says about the file. */
export function shortHash(sha256: string): string {
  return sha256.slice(0, HASH_LENGTH)
}

/** The parameters of the address that lead to a finding, whatever is filtered now. */
export function linkTo(finding: Finding, sha256: string): FindingQuery {
  return { at: positionOf(finding), file: shortHash(sha256) }
}

/** The listed findings that a filter leaves, errors first as the server lists them. */
export function filtered(findings: readonly Finding[], query: FindingQuery): Finding[] {
  return findings.filter(
    (each) =>
      (!query.severity || each.severity === query.severity) && (!query.code || each.code === query.code),
  )
}

/** The codes that occur with their numbers in the whole file, the most frequent first. */
export function codesOf(summary: Summary, severity: string | undefined): { code: string; n: number }[] {
  const counts = new Map<string, number>()
  const parts = [
    ...(severity !== 'warning' ? [summary.errors_by_code] : []),
    ...(severity !== 'error' ? [summary.warnings_by_code] : []),
  ]
  for (const [code, n] of parts.flatMap((part) => Object.entries(part)))
    counts.set(code, (counts.get(code) ?? 0) + n)
  return [...counts]
    .map(([code, n]) => ({ code, n }))
    .sort((a, b) => b.n - a.n || a.code.localeCompare(b.code))
}

/** How many findings of the file a filter would show if all were listed. */
export function countOf(summary: Summary, query: FindingQuery): number {
  return codesOf(summary, query.severity)
    .filter((each) => !query.code || each.code === query.code)
    .reduce((sum, each) => sum + each.n, 0)
}
