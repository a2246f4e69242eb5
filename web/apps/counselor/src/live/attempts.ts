import type { StaffSchemas } from '@dianming/api/staff'

type Attempts = StaffSchemas['StudentAttemptsOut']
type Attempt = Attempts['attempts'][number]

interface Submission {
  kind: 'submission'
  key: string
  at: string
  /** `checking` until there is a verdict. */
  finding: string
  reasons: Attempt['reasons']
  actions: Attempt['actions']
  cannot: Attempt['cannot']
  inCoolDown: boolean
}

interface Refusal {
  kind: 'refusal'
  key: string
  at: string
  finding: 'refused'
  reason: { zh: string; en: string }
}

/** Submissions and refusals of a student in one list, newest first. */
export function mergeAttempts({ attempts, refusals }: Attempts): (Submission | Refusal)[] {
  const submissions = attempts.map((each): Submission => ({
    kind: 'submission',
    key: each.submission_id,
    at: each.received_at,
    finding: each.finding ?? 'checking',
    reasons: each.reasons,
    actions: each.actions,
    cannot: each.cannot,
    inCoolDown: each.in_cool_down,
  }))
  const refused = refusals.map((each, n): Refusal => ({
    kind: 'refusal',
    key: `refusal-${n}`,
    at: each.at,
    finding: 'refused',
    reason: { zh: each.zh, en: each.en },
  }))
  return [...submissions, ...refused].sort((a, b) => Date.parse(b.at) - Date.parse(a.at))
}
