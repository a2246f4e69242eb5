import type { MobileSchemas } from '@dianming/api/mobile'
import { describe, expect, it } from 'vitest'

import { cardState, mayCheckIn, parseTerm } from '../src/roll-calls/state.ts'

const open = { state: 'open', outcome: null, duty: 'owed', next_actor: 'student' } as const
type Finding = MobileSchemas['SubmissionOut']['finding']
const submission = (finding: Finding) => ({
  id: 's',
  received_at: '2026-03-02T00:00:00Z',
  frames_due_at: '2026-03-02T00:02:00Z',
  finding,
  reasons: [],
})
const attempts = (finding: Finding) => ({ submissions: [submission(finding)], refusals: [] })

describe('the state of a card', () => {
  it.each([
    ['open', undefined, undefined],
    ['sending', undefined, 'signed'],
    ['sending', undefined, 'frames'],
    ['verifying', attempts(null), 'verifying'],
    ['passed', attempts('accepted'), undefined],
    ['again', attempts('step_up'), undefined],
    ['again', attempts('rejected'), undefined],
    ['undetermined', attempts('undetermined'), undefined],
  ] as const)('is %s', (state, given, sending) => {
    expect(cardState(open, given, sending)).toBe(state)
  })

  it('follows the outcome once there is one', () => {
    expect(cardState({ ...open, outcome: 'present' }, undefined, 'signed')).toBe('passed')
    expect(cardState({ ...open, state: 'closed', outcome: 'missed' }, undefined, undefined)).toBe('missed')
    expect(cardState({ ...open, state: 'voided', outcome: 'missed' }, undefined, undefined)).toBe('voided')
  })

  it('sends the student to the counselor where the counselor acts next', () => {
    expect(cardState({ ...open, next_actor: 'counselor' }, attempts('step_up'), undefined)).toBe('person')
  })

  it('permits a check-in only while it is open and not passed', () => {
    const states = ['open', 'again', 'announced', 'passed', 'person', 'closed'] as const
    expect(states.filter(mayCheckIn)).toEqual(['open', 'again'])
  })
})

it('reads the code of a term', () => {
  expect(parseTerm('2026-autumn')).toEqual({ season: 'autumn', year: '2026' })
  expect(parseTerm('2026')).toBeUndefined()
})
