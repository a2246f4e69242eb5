import { describe, expect, it } from 'vitest'

import {
  classesOf,
  countNeeds,
  filterMissing,
  type Missing,
  needOf,
  nextStudent,
  sortMissing,
} from '../src/live/missing.ts'
import { lastCode, reasonGroup } from '../src/live/reasons.ts'

function row(student_id: string, rest: Partial<Missing> = {}): Missing {
  return {
    student_id,
    name: student_id,
    class_id: 'k1',
    class_name: '24电商1班',
    phone: '15400000001',
    submissions: 0,
    last_reasons: [],
    last_refusal: null,
    last_reason_zh: null,
    last_reason_en: null,
    sent_to_a_person: false,
    outcome: null,
    ...rest,
  }
}

const ids = (rows: Missing[]) => rows.map((each) => each.student_id)

describe('the list of missing students', () => {
  const silent = row('a')
  const refused = row('b', { last_refusal: 'activation_incomplete' })
  const person = row('c', { submissions: 3, sent_to_a_person: true, last_refusal: 'face_attempts_exhausted' })
  const other = row('d', { class_id: 'k2', class_name: '24电商10班' })
  const early = row('e', { class_id: 'k3', class_name: '24电商2班' })
  const rows = [silent, other, refused, early, person]

  it('puts those who were sent to a person first, and counts classes in the order of their numbers', () => {
    expect(ids(sortMissing(rows))).toEqual(['c', 'b', 'a', 'e', 'd'])
    expect(classesOf(rows).map((each) => [each.name, each.missing])).toEqual([
      ['24电商1班', 3],
      ['24电商2班', 1],
      ['24电商10班', 1],
    ])
  })

  it('tells a refused attempt from none', () => {
    expect(rows.map(needOf)).toEqual(['silent', 'silent', 'tried', 'silent', 'person'])
    expect(countNeeds(rows)).toEqual({ person: 1, tried: 1, silent: 3 })
  })

  it('filters by need, class, name and number', () => {
    const none = { need: '', classId: '', text: '' } as const
    expect(ids(filterMissing(rows, { ...none, need: 'person' }))).toEqual(['c'])
    expect(ids(filterMissing(rows, { ...none, classId: 'k2' }))).toEqual(['d'])
    expect(ids(filterMissing(rows, { ...none, text: ' b ' }))).toEqual(['b'])
    expect(filterMissing(rows, { ...none, text: '0001' })).toHaveLength(5)
    expect(filterMissing([row('x', { phone: null })], { ...none, text: '154' })).toEqual([])
  })

  it('names the next student, and starts again at the end', () => {
    expect(nextStudent(rows, 'a')?.student_id).toBe('d')
    expect(nextStudent(rows, 'c')?.student_id).toBe('a')
    expect(nextStudent(rows, 'gone')?.student_id).toBe('a')
    expect(nextStudent([silent], 'a')).toBeUndefined()
  })
})

describe('the words of the last attempt', () => {
  it('are those of the verdict, unless a refusal sent the student to the counselor', () => {
    const tried = { submissions: 2, last_reasons: ['location_uncertain'], last_refusal: 'nonce_expired' }
    expect(lastCode(row('a', tried))).toBe('location_uncertain')
    const sent = { ...tried, last_refusal: 'step_ups_exhausted', sent_to_a_person: true }
    expect(lastCode(row('a', sent))).toBe('step_ups_exhausted')
  })

  it('say that nothing came, or that the verdict is not there yet', () => {
    expect(lastCode(row('a'))).toBe('no_check_in')
    expect(lastCode(row('a', { submissions: 1 }))).toBe('verification_pending')
  })

  it('group codes, also of pictures that cannot be read, and admit an unknown one', () => {
    expect(reasonGroup('eyes_not_closed')).toBe('actions')
    expect(reasonGroup('image_truncated')).toBe('picture')
    expect(reasonGroup('new_code')).toBeUndefined()
  })
})
