import { expect, it } from 'vitest'

import { receivedAt } from '../src/check-in/receipt.ts'

const jws = (content: object) => `e30.${btoa(JSON.stringify(content)).replaceAll('=', '')}.c2ln`

it('reads when the server received an envelope', () => {
  expect(receivedAt(jws({ received_at: '2026-03-02T12:13:05Z' }))?.toISOString()).toBe(
    '2026-03-02T12:13:05.000Z',
  )
  expect(receivedAt(jws({}))).toBeUndefined()
  expect(receivedAt('nonsense')).toBeUndefined()
})
