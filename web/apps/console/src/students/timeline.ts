import type { StaffSchemas } from '@dianming/api/staff'
import type { RouteLocationRaw } from 'vue-router'

type Timeline = StaffSchemas['TimelineOut']

/** A record on file. */
export type TimelineEntry = Timeline['items'][number]
export type TimelineKind = Timeline['kinds'][number]

/** The page of a record, if there is more of it than the timeline shows. */
export function pageOf(entry: TimelineEntry, studentId: string): RouteLocationRaw | undefined {
  const to = (name: string, id: string) => ({ name, params: { id } })
  switch (entry.kind) {
    case 'roll_call':
      return to('roll-call', entry.id)
    case 'prompt':
      return to('prompt', entry.id)
    case 'statement':
      return to('prompt', entry.prompt_id)
    case 'standing':
      return to('standing-entry', entry.id)
    case 'change_request':
      return to('change', entry.id)
    case 'aid_application':
      return to('aid-application', entry.id)
    case 'aid_payment':
      return { name: 'student-aid', params: { id: studentId }, hash: `#aid-${entry.id}` }
    case 'aid_filing':
      return to('aid-withdrawal', entry.id)
    case 'appeal':
      return to('appeal', entry.id)
    case 'leave':
      return { name: 'student-leave', params: { id: studentId, leave: entry.id } }
    case 'claim':
      return to('roll-call', entry.roll_call_id)
    case 'attendance':
    case 'picture_view':
      return undefined
  }
}

/** The amount of a record, in fen; undefined for one without. */
export function amountOf(entry: TimelineEntry): number | undefined {
  return 'fen' in entry ? (entry.fen ?? undefined) : undefined
}
