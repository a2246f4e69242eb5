import type { StaffSchemas } from '@dianming/api/staff'

type Attempts = StaffSchemas['StudentAttemptsOut']

/** One attempt: a submission with its verdict, or a refusal. */
export interface AttemptLine {
  key: string
  at: string
  finding: 'accepted' | 'step_up' | 'rejected' | 'undetermined' | 'waiting' | 'refused'
  reasons: { zh: string; en: string }[]
  inCoolDown: boolean
  trace?: Record<string, unknown> | undefined
}

/** All attempts of a student in a roll call, oldest first. */
export function attemptLines({ attempts, refusals }: Attempts): AttemptLine[] {
  const submitted = attempts.map((each): AttemptLine => ({
    key: each.submission_id,
    at: each.received_at,
    finding: each.finding ?? 'waiting',
    reasons: each.reasons,
    inCoolDown: each.in_cool_down,
    trace: each.trace ?? undefined,
  }))
  const refused = refusals.map((each, index): AttemptLine => ({
    key: `refusal-${index}`,
    at: each.at,
    finding: 'refused',
    reasons: [each],
    inCoolDown: false,
  }))
  return [...submitted, ...refused].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
}

const PERCENT = 100

/** What the trace of a verdict says about position and face, as far as it has it. Only the launching side gets a trace. */
export function measuredFigures(trace: Record<string, unknown>): { key: string; value: string }[] {
  const part = (name: string) => (trace[name] ?? {}) as Record<string, unknown>
  const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
  const figures: { key: string; value: string | undefined }[] = []
  const distance = number(part('fence')['distance_m'])
  const inside = number(part('fence')['probability_inside'])
  const accuracy = number(part('fence')['accuracy_m'])
  const score = number(part('face')['score'])
  figures.push({ key: 'distance', value: distance === undefined ? undefined : `${distance.toFixed(0)} m` })
  figures.push({
    key: 'inside',
    value: inside === undefined ? undefined : `${(inside * PERCENT).toFixed(1)}%`,
  })
  figures.push({ key: 'accuracy', value: accuracy === undefined ? undefined : `±${accuracy.toFixed(0)} m` })
  figures.push({ key: 'score', value: score?.toFixed(3) })
  return figures.filter((each): each is { key: string; value: string } => each.value !== undefined)
}
