import { reactive } from 'vue'

/** How the counselor tried to reach a student. */
export type Contact = 'called' | 'urged'

/** The students whom the counselor reached, by roll call. Only this page keeps it, to avoid calling a student twice. */
const contacted = reactive(new Map<string, Set<string>>())

export function useContacted(rollCallId: () => string, contact: Contact) {
  const key = () => `${contact} ${rollCallId()}`

  function has(studentId: string): boolean {
    return contacted.get(key())?.has(studentId) ?? false
  }

  function add(studentId: string): void {
    const known = contacted.get(key())
    if (known) known.add(studentId)
    else contacted.set(key(), new Set([studentId]))
  }

  return { has, add }
}
