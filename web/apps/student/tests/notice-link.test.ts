import { expect, it } from 'vitest'

import { noticeLink } from '../src/notices/link.ts'

it.each([
  [{ roll_call_id: 'a' }, { name: 'roll-call', params: { id: 'a' } }],
  [{ leave_id: 'a' }, { name: 'leave-request', params: { id: 'a' } }],
  [{ warning_id: 'a' }, { name: 'explanation', params: { kind: 'warning', id: 'a' } }],
  [{ filing_id: 'a' }, { name: 'aid' }],
  [{ student_id: 'a' }, undefined],
  [{}, undefined],
])('leads from %j to its record', (data, page) => {
  expect(noticeLink(data)).toEqual(page)
})
