import type { MobileSchemas } from '@dianming/api/mobile'

import type { Progress } from '../check-in/progress.ts'

type RollCall = MobileSchemas['OwnRollCallOut']
type Attempts = MobileSchemas['OwnAttemptsOut']

/** How a roll call stands for the student, in one word. */
export type CardState =
  | 'announced'
  | 'open'
  | 'sending'
  | 'verifying'
  | 'passed'
  | 'again'
  | 'person'
  | 'undetermined'
  | 'missed'
  | 'excused'
  | 'closed'
  | 'voided'

const OUTCOMES: Readonly<Record<string, CardState>> = {
  present: 'passed',
  missed: 'missed',
  excused: 'excused',
  undetermined: 'undetermined',
}

/** Find the state of a roll call from its own data, the attempts so far, and what is still being sent. */
export function cardState(
  rollCall: Pick<RollCall, 'state' | 'outcome' | 'duty' | 'next_actor'>,
  attempts: Attempts | undefined,
  sending: Progress | undefined,
): CardState {
  if (rollCall.state === 'voided') return 'voided'
  if (rollCall.outcome !== null) return OUTCOMES[rollCall.outcome] ?? 'closed'
  if (rollCall.duty !== 'owed') return 'excused'
  if (sending === 'signed' || sending === 'frames') return 'sending'
  const last = attempts?.submissions.at(-1)
  if (last?.finding === 'accepted') return 'passed'
  if (last && last.finding === null) return 'verifying'
  if (rollCall.state !== 'open') return rollCall.state === 'announced' ? 'announced' : 'closed'
  if (last?.finding === 'undetermined') return 'undetermined'
  if (rollCall.next_actor === 'counselor') return 'person'
  return last ? 'again' : 'open'
}

/** Whether the student can start a check-in now. */
export function mayCheckIn(state: CardState): boolean {
  return state === 'open' || state === 'again'
}

/** The parts of a term code such as `2026-autumn`, or undefined for another form. */
export function parseTerm(code: string): { season: 'spring' | 'autumn'; year: string } | undefined {
  const [, year, season] = /^(\d{4})-(spring|autumn)$/.exec(code) ?? []
  return year === undefined ? undefined : { year, season: season as 'spring' | 'autumn' }
}
