import { ApiError } from '@dianming/api'

/** The field that a refusal of a term is about, where the problem document names none. */
const FIELD_OF: Record<string, string> = {
  days_in_two_terms: 'starts_on',
  term_overlaps: 'starts_on',
  term_contradicts_superior: 'starts_on',
  term_order: 'starts_on',
  code_taken: 'code',
}

/** The refusals of fields by the name of the field, without the place in the request that precedes it. */
export function fieldMessages(error: unknown, locale: string): Record<string, string> {
  if (!(error instanceof ApiError)) return {}
  const named = error.fields.map(
    (each) => [each.field.split('.').at(-1) ?? each.field, each.message] as const,
  )
  if (named.length) return Object.fromEntries(named)
  const field = FIELD_OF[error.code]
  return field ? { [field]: error.sentence(locale) } : {}
}
