import { afterEach, expect, test, vi } from 'vitest'

import { createGuardianClient, readLinkToken } from '../src/guardian.ts'

afterEach(() => vi.unstubAllGlobals())

test('reads the token of a link, and nothing from an address without one', () => {
  expect(readLinkToken('#abc.DEF_-')).toBe('abc.DEF_-')
  expect(readLinkToken('#')).toBeUndefined()
  expect(readLinkToken('')).toBeUndefined()
})

test('sends the token in the header only, and does not repeat a refused request', async () => {
  const refused = () =>
    Promise.resolve(
      new Response(JSON.stringify({ code: 'guardian_link_expired', status: 401 }), {
        status: 401,
        headers: { 'Content-Type': 'application/problem+json' },
      }),
    )
  const fetched = vi.fn<(request: Request) => Promise<Response>>(refused)
  vi.stubGlobal('fetch', fetched)
  const api = createGuardianClient('secret', () => 'zh-CN')
  await expect(api.GET('/v1/guardian/student')).rejects.toMatchObject({ code: 'guardian_link_expired' })
  expect(fetched).toHaveBeenCalledOnce()
  const request = fetched.mock.calls[0]?.[0]
  expect(request?.headers.get('Authorization')).toBe('Guardian secret')
  expect(request?.url).not.toContain('secret')
})
