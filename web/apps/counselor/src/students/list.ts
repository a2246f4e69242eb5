import type { StaffSchemas } from '@dianming/api/staff'

export type Student = StaffSchemas['StudentOut']

export interface ClassGroup {
  id: string
  name: string
  students: Student[]
}

/** Students whose name, class or masked numbers contain the text. */
export function searchStudents(students: readonly Student[], text: string): Student[] {
  const wanted = text.trim().toUpperCase()
  if (wanted === '') return [...students]
  return students.filter((each) =>
    [each.name, each.id_number_masked, each.student_number_masked ?? '', each.class_name].some((field) =>
      field.toUpperCase().includes(wanted),
    ),
  )
}

/** Students by class, both in the order of their names. */
export function groupByClass(students: readonly Student[]): ClassGroup[] {
  const groups = new Map<string, ClassGroup>()
  for (const each of students) {
    const group = groups.get(each.class_id)
    if (group) group.students.push(each)
    else groups.set(each.class_id, { id: each.class_id, name: each.class_name, students: [each] })
  }
  const byName = (a: { name: string }, b: { name: string }) =>
    a.name.localeCompare(b.name, 'zh-CN', { numeric: true })
  for (const group of groups.values()) group.students.sort(byName)
  return [...groups.values()].sort(byName)
}
