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
  /** What an opened file has besides the fields of the form. It is sent as it is. */
  more?: Record<string, unknown>
}

export interface VacationDraft {
  from: string
  to: string
  /** When it was declared; empty for before the term. */
  declared: string
}

export interface TermDraft {
  code: string
  from: string
  to: string
  vacations?: VacationDraft[]
}

export interface CaseDraft {
  name: string
  place: string
  comparedPlace: string
  terms: TermDraft[]
  standing: string
  studyForm: string
  /** What an opened file says of the student besides standing and form of study. */
  moreOfStudent?: Record<string, unknown>
  facts: FactDraft[]
  at: string[]
}

export const MAX_FACTS = 40
export const MAX_INSTANTS = 4
export const MAX_TERMS = 6
export const MAX_VACATIONS = 20
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
      (field) => !field.isRequired || isFilled(fact.values[field.key]) || isGivenOtherwise(fact, field),
    ),
  )
  return Boolean(
    draft.name.trim() &&
    draft.terms.length &&
    draft.terms.every((each) => each.code.trim() && each.from && each.to) &&
    draft.terms.every((each) => each.vacations?.every(({ from, to }) => from && to) ?? true) &&
    draft.at.some(Boolean) &&
    hasFacts,
  )
}

function isFilled(value: Value | undefined): boolean {
  return value !== undefined && value !== ''
}

/** An opened file may have a value that the form does not offer, and the window of a roll call instead of its day. */
function isGivenOtherwise(fact: FactDraft, field: FieldSpec): boolean {
  return fact.more?.[field.key === 'on' ? 'opens' : field.key] !== undefined
}

/** The body of the evaluation: times as a lawyer writes them, and only what was filled in. */
export function toBody(draft: CaseDraft, place = draft.place): CaseBody {
  const body = {
    name: draft.name.trim(),
    ...(place.trim() && { place: place.trim() }),
    terms: draft.terms.map(toTerm),
    student: { ...draft.moreOfStudent, standing: draft.standing, study_form: draft.studyForm },
    facts: draft.facts.map((each) => ({ [each.kind]: toFact(each) })),
    at: draft.at.filter(Boolean).map(toInstant),
  }
  // The fields follow from the vocabulary above; the server checks them again.
  return body as unknown as CaseBody
}

function toTerm({ code, from, to, vacations }: TermDraft): Record<string, unknown> {
  return {
    code: code.trim(),
    from,
    to,
    ...(vacations?.length && {
      vacations: vacations.map((each) => ({
        from: each.from,
        to: each.to,
        ...(each.declared && { declared: toInstant(each.declared) }),
      })),
    }),
  }
}

function toFact(fact: FactDraft): Record<string, unknown> {
  const id = fact.values['id']
  const given: Record<string, unknown> = { ...(id !== undefined && { id }), ...fact.more }
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

type Given = Record<string, unknown>

/** The draft of a case that was opened from a file: the body of its evaluation, in the form's words. */
export function toDraft(body: Given): CaseDraft {
  const { standing, study_form, ...moreOfStudent } = (body['student'] ?? {}) as Given
  return {
    name: String(body['name'] ?? ''),
    place: String(body['place'] ?? ''),
    comparedPlace: '',
    terms: ((body['terms'] ?? []) as Given[]).map(toTermDraft),
    standing: String(standing ?? '01'),
    studyForm: String(study_form ?? 'full_time'),
    moreOfStudent,
    facts: ((body['facts'] ?? []) as Record<string, Given>[]).flatMap((each) =>
      Object.entries(each).map(([kind, given]) => toFactDraft(kind as FactKind, given)),
    ),
    at: ((body['at'] ?? []) as string[]).map(toLocal),
  }
}

function toTermDraft(term: Given): TermDraft {
  const vacations = ((term['vacations'] ?? []) as Record<string, string>[]).map((each) => ({
    from: each['from'] ?? '',
    to: each['to'] ?? '',
    declared: toLocal(each['declared'] ?? ''),
  }))
  return { code: String(term['code']), from: String(term['from']), to: String(term['to']), vacations }
}

function toFactDraft(kind: FactKind, given: Given): FactDraft {
  const { id, ...rest } = given
  const values: Record<string, Value> = id === undefined ? {} : { id: String(id) }
  const more: Given = {}
  const fields = new Map((FIELDS[kind] ?? []).map((each) => [each.key, each]))
  for (const [key, value] of Object.entries(rest)) {
    const field = fields.get(key)
    if (field && canEdit(field, value))
      values[key] = typeof value === 'boolean' ? value : toInput(field, value)
    else more[key] = value
  }
  return { kind, values, more }
}

function canEdit(field: FieldSpec, value: unknown): boolean {
  if (field.type === 'flag') return typeof value === 'boolean'
  if (field.type === 'number') return typeof value === 'number'
  if (typeof value !== 'string') return false
  if (field.type === 'prompt') return (PROMPTS as readonly string[]).includes(value)
  return !field.choices || field.choices.includes(value)
}

function toInput(field: FieldSpec, value: unknown): string {
  return field.type === 'instant' || field.type === 'bound' ? toLocal(String(value)) : String(value)
}

/** `2025-09-15 15:00` becomes the value of a field, `2025-09-15T15:00`. */
function toLocal(instant: string): string {
  return instant.replace(' ', 'T')
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
