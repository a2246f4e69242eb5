import type { RouteLocationRaw } from 'vue-router'

/** The page of the record that a notice links to, from the identifiers in its `data`; undefined if there is none. */
export function noticeLink(data: Readonly<Record<string, unknown>>): RouteLocationRaw | undefined {
  const to = (key: string, name: string): RouteLocationRaw | undefined =>
    typeof data[key] === 'string' ? { name, params: { id: data[key] } } : undefined
  return (
    to('roll_call_id', 'roll-call') ??
    to('leave_id', 'leave-request') ??
    to('appeal_id', 'appeal') ??
    to('prompt_id', 'prompt') ??
    explanation(data, 'warning_id', 'warning') ??
    explanation(data, 'entry_id', 'entry') ??
    (typeof data['filing_id'] === 'string' || typeof data['application_id'] === 'string'
      ? { name: 'aid' }
      : undefined)
  )
}

function explanation(data: Readonly<Record<string, unknown>>, key: string, kind: string) {
  const id = data[key]
  return typeof id === 'string' ? { name: 'explanation', params: { kind, id } } : undefined
}
