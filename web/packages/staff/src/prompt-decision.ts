import type { StaffSchemas } from '@dianming/api/staff'

type Preview = StaffSchemas['PromptPreviewOut']
type Outcome = Preview['outcomes'][number]

/** The outcome that asks for the dismissal of a prompt. */
export const DISMISS = 'dismiss'

/** The choices of the form, with what the server says about each. */
export function decisionOptions<Words>(preview: Preview, words: (outcome: Outcome) => Words) {
  return preview.outcomes.map((each) => ({
    value: each.outcome.code,
    needsReason: each.needs_reasons,
    ...words(each),
  }))
}

/** The body of a decision. What is written for a dismissal describes the justified reason that was found. */
export function decisionBody(outcome: string, text: string, foundReason: string) {
  if (outcome === DISMISS)
    return {
      outcome,
      reasons: null,
      found_reason: foundReason || null,
      found_text: text || null,
      attachment_ids: [],
    }
  return { outcome, reasons: text || null, found_reason: null, found_text: null, attachment_ids: [] }
}
