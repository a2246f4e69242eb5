import { afterEach, describe, expect, it, vi } from 'vitest'

import { ApiError, type ClientHooks, followStream, readEvents, type StreamState } from '../src/index.ts'

const hooks: ClientHooks = {
  authorize: (request) => {
    request.headers.set('Authorization', 'Bearer a1')
    return Promise.resolve()
  },
  recover: () => Promise.resolve(false),
  language: () => 'zh-CN',
}

function body(...chunks: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    start(controller) {
      for (const each of chunks) controller.enqueue(encoder.encode(each))
      controller.close()
    },
  })
}

async function events(...chunks: string[]) {
  const all = []
  for await (const each of readEvents(body(...chunks))) all.push(each)
  return all
}

function problem(status: number, code: string) {
  const text = JSON.stringify({ code, detail_zh: '不行', detail_en: 'no' })
  return new Response(text, { status, headers: { 'Content-Type': 'application/problem+json' } })
}

function answers(...responses: (Response | Error)[]) {
  const asked = vi.fn((_request: Request) => {
    const next = responses.shift()
    return next instanceof Response ? Promise.resolve(next) : Promise.reject(next ?? new Error('no answer'))
  })
  vi.stubGlobal('fetch', asked)
  return asked
}

afterEach(() => vi.unstubAllGlobals())

describe('reading events', () => {
  it('joins an event that arrives in pieces, and skips comments', async () => {
    const read = await events(': ping\r\n\r\nevent: prog', 'ress\r\ndata: {"a"', ':1}\r\n\r\n')
    expect(read).toEqual([{ name: 'progress', data: '{"a":1}', id: undefined }])
  })

  it('joins the lines of data, and keeps the id', async () => {
    const read = await events('id: 7\ndata: one\ndata: two\n\ndata: cut off')
    expect(read).toEqual([{ name: 'message', data: 'one\ntwo', id: '7' }])
  })
})

describe('following a stream', () => {
  it('connects again after the end, with the last id, and with a growing pause only while nothing comes', async () => {
    const asked = answers(
      new Response(body('id: 1\ndata: a\n\n')),
      new TypeError('no network'),
      problem(503, 'busy'),
      new Response(body('data: b\n\n')),
    )
    const controller = new AbortController()
    const pauses: number[] = []
    const seen: string[] = []
    const states: StreamState[] = []
    await followStream({
      url: '/staff/v1/x',
      hooks,
      signal: controller.signal,
      onEvent: (event) => seen.push(event.data),
      onState: (state) => states.push(state),
      pause: (ms) => {
        pauses.push(ms)
        if (pauses.length === 4) controller.abort()
        return Promise.resolve()
      },
    })
    expect(seen).toEqual(['a', 'b'])
    expect(pauses).toEqual([1000, 2000, 4000, 1000])
    expect(states.slice(0, 3)).toEqual(['connecting', 'live', 'waiting'])
    expect(asked.mock.calls[0]?.[0].headers.get('Last-Event-ID')).toBeNull()
    expect(asked.mock.calls[1]?.[0].headers.get('Last-Event-ID')).toBe('1')
    expect(asked.mock.calls[1]?.[0].headers.get('Authorization')).toBe('Bearer a1')
  })

  it('ends with the refusal of the server', async () => {
    answers(problem(404, 'not_found'))
    const following = followStream({
      url: '/staff/v1/x',
      hooks,
      signal: new AbortController().signal,
      onEvent: () => undefined,
    })
    await expect(following).rejects.toThrow(ApiError)
  })
})
