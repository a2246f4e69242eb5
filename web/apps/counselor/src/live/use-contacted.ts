import { reactive } from 'vue'

/** Whom the counselor called in this roll call: a note of this page only, so that nobody is called twice. */
const contacted = reactive(new Map<string, Set<string>>())

export function useContacted(rollCallId: () => string) {
  function has(studentId: string): boolean {
    return contacted.get(rollCallId())?.has(studentId) ?? false
  }

  function add(studentId: string): void {
    const known = contacted.get(rollCallId())
    if (known) known.add(studentId)
    else contacted.set(rollCallId(), new Set([studentId]))
  }

  return { has, add }
}
