import type { StaffSchemas } from '@dianming/api/staff'

/** The vocabulary of law cases as a form has it, and the draft that becomes the body of an evaluation. */
export type CaseBody = StaffSchemas['LawCaseIn']
export type FactKind = keyof NonNullable<CaseBody['facts']>[number]
type Value = string | boolean

export interface FieldSpec {
  key: string
  type: 'day' | 'instant' | 'bound' | 'month' | 'choice' | 'reference' | 'prompt' | 'flag' | 'number' | 'text'
  /** The codes of a choice; their words are `law.codes.<code>`. */
  choices?: readonly string[]
  /** The kind of fact whose ids a reference has. */
  target?: FactKind
  isRequired?: boolean
}

export interface FactDraft {
  kind: FactKind
  values: Record<string, Value>
}

export interface TermDraft {
  code: string
  from: string
  to: string
}

export interface CaseDraft {
  name: string
  place: string
  comparedPlace: string
  terms: TermDraft[]
  standing: string
  studyForm: string
  facts: FactDraft[]
  at: string[]
}

export const MAX_FACTS = 40
export const MAX_INSTANTS = 4
export const MAX_TERMS = 6
export const STANDINGS = ['01', '02', '03', '05', '07', '99'] as const
export const STUDY_FORMS = ['full_time', 'part_time'] as const
const OUTCOMES = ['missed', 'present', 'excused', 'undetermined'] as const
const KINDS = ['spot_check', 'registration', 'school_own', 'rehearsal'] as const
const LAUNCHERS = ['province', 'bureau', 'school'] as const
const REASONS = ['illness', 'no_phone', 'outage', 'official_activity', 'disability', 'other'] as const
const ITEMS = [
  'standing_change',
  'study_form',
  'return_from_suspension',
  'transfer_in',
  'contact_data',
  'graduation',
  'death',
] as const
export const PROMPTS = ['misses', 'misses#2', 'leave_over_cap', 'absence_without_leave'] as const

function required(key: string, type: FieldSpec['type'], more: Partial<FieldSpec> = {}): FieldSpec {
  return { key, type, isRequired: true, ...more }
}

/** The fields of each kind of fact, in the order of the form. docs/law-cases.md has the few that files have in addition. */
export const FIELDS: Partial<Record<FactKind, readonly FieldSpec[]>> = {
  roll_call: [
    required('on', 'day'),
    required('outcome', 'choice', { choices: OUTCOMES }),
    { key: 'kind', type: 'choice', choices: KINDS },
    { key: 'launcher', type: 'choice', choices: LAUNCHERS },
    { key: 'voided', type: 'instant' },
  ],
  leave: [
    required('filed', 'instant'),
    required('from', 'bound'),
    required('to', 'bound'),
    { key: 'approved', type: 'instant' },
    { key: 'refused', type: 'instant' },
    { key: 'cancelled', type: 'instant' },
    { key: 'returned', type: 'instant' },
  ],
  reason_claim: [
    required('roll_call', 'reference', { target: 'roll_call' }),
    required('filed', 'instant'),
    required('reason', 'choice', { choices: REASONS }),
    { key: 'text', type: 'text' },
    { key: 'decided', type: 'instant' },
    { key: 'accepted', type: 'flag' },
  ],
  outage: [
    required('declared', 'instant'),
    required('from', 'instant'),
    { key: 'to', type: 'instant' },
    { key: 'decided', type: 'instant' },
    { key: 'approved', type: 'flag' },
  ],
  attendance: [required('at', 'instant'), required('present', 'flag')],
  prompt_delivered: [required('prompt', 'prompt'), required('at', 'instant')],
  decision: [
    required('prompt', 'prompt'),
    required('at', 'instant'),
    required('outcome', 'choice', { choices: ['part_time', 'suspension', 'withdrawal', 'dismiss'] }),
    { key: 'role', type: 'choice', choices: ['registrar', 'superior'] },
    { key: 'reasons', type: 'text' },
    { key: 'found_reason', type: 'choice', choices: REASONS },
    { key: 'found_text', type: 'text' },
  ],
  acknowledgement: [
    required('decision', 'reference', { target: 'decision' }),
    required('at', 'instant'),
    required('accepted', 'flag'),
  ],
  appeal: [
    required('filed', 'instant'),
    { key: 'roll_call', type: 'reference', target: 'roll_call' },
    { key: 'change', type: 'choice', choices: ['latest'] },
    { key: 'decided', type: 'instant' },
    { key: 'upheld', type: 'flag' },
    { key: 'finding', type: 'choice', choices: ['excused', 'present'] },
  ],
  reversal: [required('at', 'instant'), required('reasons', 'text')],
  edit: [
    required('at', 'instant'),
    required('item', 'choice', { choices: ITEMS }),
    { key: 'standing', type: 'choice', choices: STANDINGS },
    { key: 'study_form', type: 'choice', choices: STUDY_FORMS },
    { key: 'approval', type: 'reference', target: 'approval' },
  ],
  approval: [required('at', 'instant')],
  transfer: [required('at', 'instant')],
  aid: [
    required('kind', 'choice', { choices: ['grant', 'tuition_waiver'] }),
    required('term', 'text'),
    required('approved', 'instant'),
  ],
  payment: [
    required('aid', 'reference', { target: 'aid' }),
    required('month', 'month'),
    required('paid', 'instant'),
    required('fen', 'number'),
  ],
}
export const KINDS_OF_FACT = Object.keys(FIELDS) as FactKind[]

/** Kinds that no other fact refers to by an id. */
const WITHOUT_ID: readonly FactKind[] = ['prompt_delivered']
const PREFIX: Partial<Record<FactKind, string>> = {
  roll_call: 'c',
  leave: 'l',
  reason_claim: 'r',
  outage: 'o',
  attendance: 'n',
  decision: 'd',
  acknowledgement: 'k',
  appeal: 'p',
  reversal: 'v',
  edit: 'e',
  approval: 'a',
  transfer: 't',
  aid: 'g',
  payment: 'm',
}

/** An empty fact with the next free id of its kind. */
export function newFact(kind: FactKind, others: readonly FactDraft[]): FactDraft {
  const values: Record<string, Value> = {}
  for (const field of FIELDS[kind] ?? []) {
    if (field.type === 'flag') values[field.key] = false
    if (field.isRequired && field.choices) values[field.key] = field.choices[0] ?? ''
    if (field.type === 'prompt') values[field.key] = 'misses'
  }
  if (!WITHOUT_ID.includes(kind)) {
    const used = new Set(idsOf(kind, others))
    let number = 1
    while (used.has(`${PREFIX[kind]}${number}`)) number += 1
    values['id'] = `${PREFIX[kind]}${number}`
  }
  return { kind, values }
}

/** The ids of the facts of a kind. */
export function idsOf(kind: FactKind, facts: readonly FactDraft[]): string[] {
  return facts.filter((each) => each.kind === kind).map((each) => String(each.values['id']))
}

export function emptyCase(): CaseDraft {
  return {
    name: '',
    place: '',
    comparedPlace: '',
    terms: [{ code: '2025-autumn', from: '2025-09-01', to: '2026-01-18' }],
    standing: '01',
    studyForm: 'full_time',
    facts: [],
    at: [''],
  }
}

/** Whether what the server requires is filled in. */
export function isReady(draft: CaseDraft): boolean {
  const hasFacts = draft.facts.every((fact) =>
    (FIELDS[fact.kind] ?? []).every(
      (field) => !field.isRequired || (fact.values[field.key] !== undefined && fact.values[field.key] !== ''),
    ),
  )
  return Boolean(
    draft.name.trim() &&
    draft.terms.length &&
    draft.terms.every((each) => each.code.trim() && each.from && each.to) &&
    draft.at.some(Boolean) &&
    hasFacts,
  )
}

/** The body of the evaluation: times as a lawyer writes them, and only what was filled in. */
export function toBody(draft: CaseDraft, place = draft.place): CaseBody {
  const body = {
    name: draft.name.trim(),
    ...(place.trim() && { place: place.trim() }),
    terms: draft.terms.map((each) => ({ ...each, code: each.code.trim() })),
    student: { standing: draft.standing, study_form: draft.studyForm },
    facts: draft.facts.map((each) => ({ [each.kind]: toFact(each) })),
    at: draft.at.filter(Boolean).map(toInstant),
  }
  // The fields follow from the vocabulary above; the server checks them again.
  return body as unknown as CaseBody
}

function toFact(fact: FactDraft): Record<string, unknown> {
  const given: Record<string, unknown> = fact.values['id'] === undefined ? {} : { id: fact.values['id'] }
  for (const field of FIELDS[fact.kind] ?? []) {
    const value = fact.values[field.key]
    if (value === undefined || value === '') continue
    given[field.key] = toValue(field, value)
  }
  return given
}

function toValue(field: FieldSpec, value: Value): unknown {
  if (typeof value === 'boolean') return value
  if (field.type === 'instant' || field.type === 'bound') return toInstant(value)
  return field.type === 'number' ? Number(value) : value.trim()
}

/** `2025-09-15T15:00` of a field becomes `2025-09-15 15:00`. */
function toInstant(local: string): string {
  return local.replace('T', ' ')
}

/** The messages about each fact, by its place in the list, from the fields that the server names. */
export function problemsOfFacts(
  fields: readonly { field: string; message: string }[],
): Map<number, string[]> {
  const found = new Map<number, string[]>()
  for (const { field, message } of fields) {
    const match = /^body\.facts\.(\d+)/.exec(field)
    if (!match) continue
    const number = Number(match[1])
    const name = field.split('.').at(-1) ?? ''
    found.set(number, [...(found.get(number) ?? []), `${name}: ${message}`])
  }
  return found
}
