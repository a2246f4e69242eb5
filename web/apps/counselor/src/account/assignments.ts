import type { StaffSchemas } from '@dianming/api/staff'

type SchoolClass = Pick<StaffSchemas['ClassOut'], 'id' | 'counselor_id' | 'counselor_name'>
type Colleague = Pick<StaffSchemas['ColleagueOut'], 'id' | 'name'>

/** Whom a class can be given to: the active counselors, and its own one, who may not have activated the account yet. */
export function choicesFor(row: SchoolClass, colleagues: readonly Colleague[]): Colleague[] {
  const { counselor_id: id, counselor_name: name } = row
  if (id === null || colleagues.some((each) => each.id === id)) return [...colleagues]
  return [{ id, name: name ?? '' }, ...colleagues]
}

/** The classes whose choice differs from their counselor. */
export function changedAssignments(
  classes: readonly SchoolClass[],
  chosen: ReadonlyMap<string, string>,
): { class_id: string; counselor_id: string }[] {
  return classes.flatMap(({ id, counselor_id: current }) => {
    const choice = chosen.get(id)
    return choice && choice !== current ? [{ class_id: id, counselor_id: choice }] : []
  })
}
