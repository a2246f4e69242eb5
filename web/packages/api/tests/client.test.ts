import { afterEach, describe, expect, it, vi } from 'vitest'

import { ApiError, type ClientHooks, content, send } from '../src/index.ts'
import { createMobileClient } from '../src/mobile.ts'

const PROBLEM = {
  code: 'token_missing',
  detail_zh: '请登录后重试。',
  detail_en: 'Sign in and try again.',
  errors: [{ field: 'body.name', message: '缺少此项' }, 'odd'],
}

function hooks(over: Partial<ClientHooks> = {}): ClientHooks {
  return { authorize: async () => undefined, recover: async () => false, language: () => 'en', ...over }
}

function problem(status: number, body: object = PROBLEM, headers: Record<string, string> = {}) {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...headers },
  })
}

function answer(...responses: (Response | Error)[]) {
  const asked = vi.fn(async (_: Request) => {
    const next = responses.shift()
    if (next instanceof Response) return next
    throw next ?? new Error('not expected')
  })
  vi.stubGlobal('fetch', asked)
  return asked
}

const request = () => new Request('http://localhost:3000/mobile/v1/me', { method: 'POST', body: '{"a":1}' })
const failed = async (pending: Promise<unknown>) =>
  (await pending.catch((error: unknown) => error)) as ApiError

afterEach(() => vi.unstubAllGlobals())

describe('a problem document', () => {
  it('becomes an error with code, status, fields and a sentence in both languages', async () => {
    answer(problem(401))
    const error = await failed(send(request(), hooks()))
    expect(error).toBeInstanceOf(ApiError)
    expect([error.code, error.status, error.isTemporary]).toEqual(['token_missing', 401, false])
    expect([error.sentence('zh-CN'), error.sentence('en')]).toEqual([PROBLEM.detail_zh, PROBLEM.detail_en])
    expect(error.fields).toEqual([PROBLEM.errors[0]])
  })

  it('keeps what a retry needs', async () => {
    const body = {
      ...PROBLEM,
      code: 'intake_busy',
      attempted: 'a.b.c',
      server_time: '2026-03-02T00:00:00.000Z',
    }
    answer(problem(503, body, { 'Retry-After': '7' }))
    const error = await failed(send(request(), hooks()))
    expect(error).toMatchObject({ isTemporary: true, retryAfterS: 7, attempted: 'a.b.c' })
    expect(error.serverTimeMs).toBe(Date.parse('2026-03-02T00:00:00Z'))
  })

  it.each([
    ['another page', new Response('<html>', { status: 502 }), 'answer_unreadable', 502],
    ['no answer', new TypeError('failed'), 'network_unreachable', 0],
  ])('is made up for %s', async (_, response, code, status) => {
    answer(response)
    expect(await failed(send(request(), hooks()))).toMatchObject({ code, status, isTemporary: true })
  })
})

describe('a request', () => {
  it('names the language and is authorised each time it is sent', async () => {
    const asked = answer(problem(401), new Response('{}'))
    let n = 0
    const authorize = async (each: Request) => each.headers.set('Authorization', `token ${++n}`)
    await send(request(), hooks({ authorize, recover: async () => true }))
    const sent = asked.mock.calls.map(([each]) => each)
    expect(sent.map((each) => each.headers.get('Authorization'))).toEqual(['token 1', 'token 2'])
    expect(sent[1]?.headers.get('Accept-Language')).toBe('en')
    expect(await sent[1]?.text()).toBe('{"a":1}')
  })

  it('is sent again only once', async () => {
    const asked = answer(problem(401), problem(401))
    expect((await failed(send(request(), hooks({ recover: async () => true })))).status).toBe(401)
    expect(asked).toHaveBeenCalledTimes(2)
  })
})

it('has the content of a success, typed by the document', async () => {
  answer(new Response('{"items":[],"next_cursor":null}', { headers: { 'Content-Type': 'application/json' } }))
  const page = await content(createMobileClient(hooks()).GET('/v1/roll-calls'))
  expect(page.items).toEqual([])
})
