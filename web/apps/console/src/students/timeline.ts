/** The kinds of record in a student's timeline, in the order of the filter. */
export const KINDS = [
  'rollCall',
  'prompt',
  'entry',
  'change',
  'aid',
  'payment',
  'appeal',
  'leave',
  'attendance',
  'claim',
  'picture',
] as const

export type TimelineKind = (typeof KINDS)[number]

/** One record on file. */
export interface TimelineItem {
  id: string
  kind: TimelineKind
  at: string
  text: string
  to?: { name: string; params: { id: string } }
}

/** The records of one kind or of all, newest first; equal times by id, so that the order is stable. */
export function ordered(items: readonly TimelineItem[], kind: string | undefined): TimelineItem[] {
  return items
    .filter((each) => !kind || each.kind === kind)
    .sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || a.id.localeCompare(b.id))
}

/** The kinds that occur, in the order of the filter. */
export function kindsOf(items: readonly TimelineItem[]): TimelineKind[] {
  return KINDS.filter((kind) => items.some((each) => each.kind === kind))
}
