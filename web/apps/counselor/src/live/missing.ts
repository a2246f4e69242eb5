import type { StaffSchemas } from '@dianming/api/staff'

export type Missing = StaffSchemas['MissingStudentOut']

/** `person`: was sent to the counselor. `tried`: sent something that did not pass. `silent`: nothing came yet. */
export type Need = 'person' | 'tried' | 'silent'
export const NEEDS: readonly Need[] = ['person', 'tried', 'silent']

/** What to do about the student. */
export function needOf(row: Missing): Need {
  if (row.sent_to_a_person) return 'person'
  return row.submissions > 0 || row.last_refusal !== null ? 'tried' : 'silent'
}

/** Those who need the counselor first, then those who tried, then the others; within by class and name. */
export function sortMissing(rows: readonly Missing[]): Missing[] {
  const rank = (row: Missing) => NEEDS.indexOf(needOf(row))
  return [...rows].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      a.class_name.localeCompare(b.class_name, 'zh-CN', { numeric: true }) ||
      a.name.localeCompare(b.name, 'zh-CN') ||
      a.student_id.localeCompare(b.student_id),
  )
}

/** Which rows are shown. Empty fields do not filter. */
export interface MissingFilter {
  need: Need | ''
  classId: string
  text: string
}

export function filterMissing(rows: readonly Missing[], filter: MissingFilter): Missing[] {
  const text = filter.text.trim()
  return rows.filter(
    (row) =>
      (filter.need === '' || needOf(row) === filter.need) &&
      (filter.classId === '' || row.class_id === filter.classId) &&
      (text === '' || row.name.includes(text) || (row.phone?.includes(text) ?? false)),
  )
}

export function countNeeds(rows: readonly Missing[]): Record<Need, number> {
  const counts: Record<Need, number> = { person: 0, tried: 0, silent: 0 }
  for (const row of rows) counts[needOf(row)] += 1
  return counts
}

export interface ClassMissing {
  id: string
  name: string
  missing: number
}

/** The classes of the rows, by name. */
export function classesOf(rows: readonly Missing[]): ClassMissing[] {
  const classes = new Map<string, ClassMissing>()
  for (const row of rows) {
    const known = classes.get(row.class_id)
    if (known) known.missing += 1
    else classes.set(row.class_id, { id: row.class_id, name: row.class_name, missing: 1 })
  }
  return [...classes.values()].sort((a, b) => a.name.localeCompare(b.name, 'zh-CN', { numeric: true }))
}

/** The student after this one in the list as it is shown, or the first one; undefined if there is no other. */
export function nextStudent(rows: readonly Missing[], studentId: string): Missing | undefined {
  const at = rows.findIndex((row) => row.student_id === studentId)
  const next = rows[at + 1] ?? rows[0]
  return next?.student_id === studentId ? undefined : next
}
