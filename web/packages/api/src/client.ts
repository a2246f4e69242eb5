import createClient, { type Client } from 'openapi-fetch'

import { ApiError, clientError, readProblem } from './errors.ts'

/** What a client needs to know about the signed-in person. */
export interface ClientHooks {
  /** Add the credentials to a request: headers only. Called again for each retry. */
  authorize(request: Request): Promise<void>
  /** Act on a refused request, as it was sent (renew a token, correct the clock). Returns whether to send it once more. */
  recover(problem: ApiError, request: Request): Promise<boolean>
  /** Read the time of each answer. */
  observe?(response: Response, sentAtMs: number): void
  /** The language tag of the user. */
  language(): string
}

/** A typed client. Each method rejects with `ApiError` unless the answer is a success. */
export function createApiClient<Paths extends object>(baseUrl: string, hooks: ClientHooks): Client<Paths> {
  return createClient<Paths>({ baseUrl, fetch: (request) => send(request, hooks) })
}

/** Send a request with credentials; after a recoverable refusal once more. */
export async function send(request: Request, hooks: ClientHooks): Promise<Response> {
  const again = request.clone()
  const response = await attempt(request, hooks)
  if (response.ok || response.status === 304) return response
  const problem = await readProblem(response)
  if (!(await hooks.recover(problem, request))) throw problem
  const second = await attempt(again, hooks)
  if (second.ok || second.status === 304) return second
  throw await readProblem(second)
}

async function attempt(request: Request, hooks: ClientHooks): Promise<Response> {
  request.headers.set('Accept-Language', hooks.language())
  await hooks.authorize(request)
  const sentAtMs = Date.now()
  let response: Response
  try {
    response = await fetch(request)
  } catch (cause) {
    if (request.signal.aborted) throw cause
    throw clientError('network_unreachable', 0, cause)
  }
  hooks.observe?.(response, sentAtMs)
  return response
}

/** The content of an answer that always has one: `const me = await content(api.GET('/v1/me'))`. */
export async function content<T>(
  pending: Promise<{ data?: T; response: Response }>,
): Promise<NonNullable<T>> {
  const { data, response } = await pending
  if (data === undefined || data === null) throw clientError('answer_unreadable', response.status)
  return data
}
