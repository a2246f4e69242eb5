import { expect, it } from 'vitest'

import { readRegistration } from '../src/activation/use-registration.ts'

it('resumes a registration until it expires', () => {
  const stored = JSON.stringify({ id: 'r', endsAtMs: 2000, checks: ['face'], code: '123456' })
  expect(readRegistration(1999, stored)).toEqual({
    id: 'r',
    endsAtMs: 2000,
    checks: ['face'],
    code: '123456',
  })
  expect(readRegistration(2000, stored)).toBeUndefined()
  expect(readRegistration(0, '{"id": 1}')).toBeUndefined()
  expect(readRegistration(0, 'no JSON')).toBeUndefined()
  expect(readRegistration(0, null)).toBeUndefined()
})
