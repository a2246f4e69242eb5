import { type ClientHooks, send } from './client.ts'
import { ApiError } from './errors.ts'

/** A server-sent event. */
export interface StreamEvent {
  name: string
  data: string
  id: string | undefined
}

/** `live`: events arrive. `waiting`: the connection is lost, and is tried again after a pause. */
export type StreamState = 'connecting' | 'live' | 'waiting'

export interface StreamOptions {
  url: string
  hooks: ClientHooks
  signal: AbortSignal
  onEvent(event: StreamEvent): void
  onState?(state: StreamState): void
  /** Wait before the next try; replaced in tests. */
  pause?(ms: number, signal: AbortSignal): Promise<void>
}

const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000
/** The server sends a comment every 15 s; without anything for three times as long, the connection is dead. */
const SILENCE_MS = 45_000

/**
 * Follow a stream of server-sent events with the credentials of the session, until the signal ends it. A lost connection is tried
 * again after a growing pause, at once when the device is back online. Rejects with `ApiError` if the server refuses
 * for good.
 */
export async function followStream(options: StreamOptions): Promise<void> {
  const { signal } = options
  const pause = options.pause ?? waitUntilOnline
  let lastId: string | undefined
  let pauseMs = FIRST_PAUSE_MS
  while (!signal.aborted) {
    options.onState?.('connecting')
    try {
      for await (const event of open(options, lastId)) {
        pauseMs = FIRST_PAUSE_MS
        lastId = event.id ?? lastId
        options.onState?.('live')
        options.onEvent(event)
      }
    } catch (error) {
      if (isAborted(signal)) return
      if (error instanceof ApiError && !error.isTemporary) throw error
    }
    if (isAborted(signal)) return
    options.onState?.('waiting')
    await pause(pauseMs, signal)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}

/** A call, so that the compiler does not take an earlier answer for granted. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}

async function* open(options: StreamOptions, lastId: string | undefined): AsyncGenerator<StreamEvent> {
  const silence = new AbortController()
  const stop = () => silence.abort()
  options.signal.addEventListener('abort', stop)
  const headers = {
    Accept: 'text/event-stream',
    ...(lastId === undefined ? {} : { 'Last-Event-ID': lastId }),
  }
  let timer = setTimeout(stop, SILENCE_MS)
  const onBytes = () => {
    clearTimeout(timer)
    timer = setTimeout(stop, SILENCE_MS)
  }
  try {
    const request = new Request(new URL(options.url, location.origin), { headers, signal: silence.signal })
    const response = await send(request, options.hooks)
    if (response.body) yield* readEvents(response.body, onBytes)
  } finally {
    clearTimeout(timer)
    stop()
    options.signal.removeEventListener('abort', stop)
  }
}

/** Read the events of a stream (WHATWG HTML, "Server-sent events"). Comments and unknown fields are skipped. */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void = () => undefined,
): AsyncGenerator<StreamEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  let fields: Partial<Record<string, string[]>> = {}
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      onBytes()
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const each of lines) {
        const line = each.endsWith('\r') ? each.slice(0, -1) : each
        if (line !== '') {
          const [, field = '', content = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? []
          ;(fields[field] ??= []).push(content)
          continue
        }
        const { event, data, id } = fields
        fields = {}
        if (data) yield { name: event?.at(-1) ?? 'message', data: data.join('\n'), id: id?.at(-1) }
      }
    }
  } finally {
    void reader.cancel().catch(() => undefined)
  }
}

function waitUntilOnline(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      removeEventListener('online', end)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    addEventListener('online', end)
    signal.addEventListener('abort', end)
  })
}
