import type { StaffSchemas } from '@dianming/api/staff'
import { describe, expect, it } from 'vitest'

import { changedAssignments, choicesFor } from '../src/account/assignments.ts'
import { inChunks, MAX_ROWS, type RowResult } from '../src/composables/bulk-rows.ts'
import { limitFor } from '../src/live/attestation-limits.ts'
import { summariseRows } from '../src/live/reminder-rows.ts'
import { invitationLink } from '../src/students/invitation.ts'
import { decisionBody, decisionOptions, DISMISS } from '@dianming/staff'

const refused = (id: string, code: string): RowResult => ({
  id,
  outcome: 'refused',
  error: { code, status: 409, zh: '原因', en: 'reason' },
})

describe('the result of reminding students', () => {
  it('counts who was reminded, and who was refused for each reason', () => {
    const rows = [
      { id: 'a', outcome: 'done', error: null } as RowResult,
      refused('b', 'urged_recently'),
      refused('c', 'urged_recently'),
      refused('d', 'not_found'),
    ]
    expect(summariseRows(rows).map(({ key, students }) => [key, students])).toEqual([
      ['done', 1],
      ['urged_recently', 2],
      ['not_found', 1],
    ])
  })

  it('does not claim that anybody was reminded when all were refused', () => {
    expect(summariseRows([refused('a', 'not_found')]).map(({ key }) => key)).toEqual(['not_found'])
  })
})

describe('many rows', () => {
  it('go in as many requests as they need', () => {
    const ids = Array.from({ length: 2 * MAX_ROWS + 1 }, (_, n) => String(n))
    expect(inChunks(ids).map((each) => each.length)).toEqual([MAX_ROWS, MAX_ROWS, 1])
    expect(inChunks(ids).flat()).toEqual(ids)
    expect(inChunks([])).toEqual([])
  })
})

describe('the limit of attestations', () => {
  const limit = (left: number) => ({ limit: 20, used: 20 - left, left })
  const classes = [{ class_id: 'a', class_name: '1班', ...limit(2) }]

  it('is that of the class or the own one, whichever has less left', () => {
    expect(limitFor({ own: limit(9), classes }, 'a')).toMatchObject({ whose: 'class', left: 2 })
    expect(limitFor({ own: limit(1), classes }, 'a')).toMatchObject({ whose: 'own', left: 1 })
    expect(limitFor({ own: null, classes }, 'a')).toMatchObject({ whose: 'class' })
  })

  it('is unknown for a class that is not one of the caller', () => {
    expect(limitFor({ own: null, classes }, 'b')).toBeUndefined()
  })
})

describe('a decision on a prompt', () => {
  const outcome = (code: string, needs_reasons: boolean) =>
    ({ outcome: { code, zh: code, en: code }, needs_reasons }) as StaffSchemas['OutcomePreviewOut']

  it('needs reasons where the server says so', () => {
    const preview = { outcomes: [outcome('part_time', false), outcome('suspension', true)] }
    const options = decisionOptions(preview as StaffSchemas['PromptPreviewOut'], () => ({ label: '' }))
    expect(options.map((each) => [each.value, each.needsReason])).toEqual([
      ['part_time', false],
      ['suspension', true],
    ])
  })

  it('of a dismissal carries the justified reason, and its text as a description of that', () => {
    expect(decisionBody(DISMISS, '附病历', 'illness')).toMatchObject({
      reasons: null,
      found_reason: 'illness',
      found_text: '附病历',
    })
    expect(decisionBody('part_time', '', 'illness')).toMatchObject({ reasons: null, found_reason: null })
  })
})

describe('the counselors of classes', () => {
  const classes = [
    { id: 'a', counselor_id: 'x', counselor_name: '王老师' },
    { id: 'b', counselor_id: null, counselor_name: null },
  ]

  it('are sent only where they change', () => {
    expect(
      changedAssignments(
        classes,
        new Map([
          ['a', 'x'],
          ['b', 'y'],
        ]),
      ),
    ).toEqual([{ class_id: 'b', counselor_id: 'y' }])
    expect(changedAssignments(classes, new Map())).toEqual([])
  })

  it('can be chosen among the active ones and the present one', () => {
    const active = [{ id: 'y', name: '李老师' }]
    const choices = classes.map((each) => choicesFor(each, active).map(({ id }) => id))
    expect(choices).toEqual([['x', 'y'], ['y']])
  })
})

describe('the link of an invitation', () => {
  it('holds no data of a person', () => {
    expect(invitationLink('https://dianming.example')).toBe('https://dianming.example/m/activation')
  })
})
