import type { ServerClock } from './clock.ts'
import { loadKey } from './key.ts'
import { type ProofClaims, proofClaims, signProof } from './proof.ts'

/** The parts of `ApiError` that the session acts on. */
interface Problem {
  code: string
  status?: number
  serverTimeMs?: number | undefined
}

/** The problem codes after which a device has to be registered again. */
const KEY_LOST = new Set(['key_revoked', 'phone_replaced'])

const TOKEN_PATH = '/mobile/v1/token'
const RENEW_BEFORE_MS = 15_000

/** What the session tells the app. */
export interface SessionEvents {
  /** The key no longer belongs to a student: `key_revoked` or `phone_replaced`. */
  onKeyLost(code: string): void
  language(): string
}

/**
 * The sign-in of a phone: its key proves each request, and short-lived tokens are renewed with a proof alone. The token is
 * in memory only. Has the shape of the API client's hooks.
 */
export class DeviceSession {
  #token: { value: string; expiresAtMs: number } | undefined
  #renewing: Promise<boolean> | undefined
  /** Paths whose next request is its own proof. */
  readonly #ownProofs = new Set<string>()
  readonly #sentWithoutProof = new WeakSet<Request>()

  constructor(
    readonly clock: ServerClock,
    private readonly events: SessionEvents,
  ) {}

  language(): string {
    return this.events.language()
  }

  observe(response: Response, sentAtMs: number): void {
    this.clock.observe(response, sentAtMs)
  }

  /** Take the token of a confirmed registration. */
  accept(token: { access_token: string; expires_in: number }): void {
    this.#token = { value: token.access_token, expiresAtMs: this.clock.nowMs() + token.expires_in * 1000 }
  }

  /** Forget the token: the next request gets a new one. */
  forget(): void {
    this.#token = undefined
  }

  /** The claims of a proof for a request that carries them in its signed body, as an envelope does. */
  async claimsFor(method: string, path: string): Promise<ProofClaims> {
    if (this.#isStale()) await this.#renew()
    const url = location.origin + path
    return proofClaims({ method, url, nowMs: this.clock.nowMs(), accessToken: this.#token?.value })
  }

  /** Send the next request to this path without a proof, because its body is one. If it is refused, the repetition has one. */
  expectOwnProof(path: string): void {
    this.#ownProofs.add(path)
  }

  /** Add proof and token. Registration requests have a proof only. */
  async authorize(request: Request): Promise<void> {
    const { pathname } = new URL(request.url)
    const needsToken = !isWithoutToken(pathname)
    if (needsToken && this.#isStale()) await this.#renew()
    const accessToken = needsToken ? this.#token?.value : undefined
    if (!this.#ownProofs.delete(pathname)) return this.#prove(request, accessToken)
    this.#sentWithoutProof.add(request)
    if (accessToken !== undefined) request.headers.set('Authorization', `DPoP ${accessToken}`)
  }

  async recover(problem: Problem, request?: Request): Promise<boolean> {
    if (KEY_LOST.has(problem.code)) {
      this.forget()
      this.events.onKeyLost(problem.code)
      return false
    }
    if (problem.code === 'proof_clock_wrong' && problem.serverTimeMs !== undefined) {
      this.clock.set(problem.serverTimeMs)
      return true
    }
    if (problem.code === 'proof_replayed') return true
    if (problem.code !== 'token_expired') {
      return problem.status === 401 && request !== undefined && this.#sentWithoutProof.has(request)
    }
    this.forget()
    return this.#renew()
  }

  #isStale(): boolean {
    return this.#token === undefined || this.#token.expiresAtMs - RENEW_BEFORE_MS < this.clock.nowMs()
  }

  /** Get a token; concurrent callers share one request. Returns whether there is one. */
  #renew(): Promise<boolean> {
    this.#renewing ??= this.#requestToken().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  /** A failure is not reported here: the request that needed the token is refused, and that refusal says why. */
  async #requestToken(): Promise<boolean> {
    if ((await loadKey()) === undefined) return false
    for (let tries = 0; tries < 2; tries += 1) {
      const request = new Request(location.origin + TOKEN_PATH, { method: 'POST' })
      await this.#prove(request, undefined)
      const sentAtMs = Date.now()
      const response = await fetch(request).catch(() => undefined)
      if (response === undefined) return false
      this.observe(response, sentAtMs)
      if (response.ok) {
        this.accept((await response.json()) as { access_token: string; expires_in: number })
        return true
      }
      const body = (await response.json().catch(() => ({}))) as { code?: string; server_time?: string }
      const serverTimeMs = body.server_time === undefined ? undefined : Date.parse(body.server_time)
      const problem = { code: body.code ?? '', serverTimeMs }
      if (problem.code === 'token_expired' || !(await this.recover(problem))) return false
    }
    return false
  }

  async #prove(request: Request, accessToken: string | undefined): Promise<void> {
    const pair = await loadKey()
    if (pair === undefined) return
    const claims = { method: request.method, url: request.url, nowMs: this.clock.nowMs(), accessToken }
    request.headers.set('DPoP', await signProof(pair, claims))
    if (accessToken !== undefined) request.headers.set('Authorization', `DPoP ${accessToken}`)
  }
}

const WITHOUT_TOKEN = /^\/mobile\/v1\/(?:registrations|rebinding-objections|token)(?:\/|$)/

function isWithoutToken(path: string): boolean {
  return WITHOUT_TOKEN.test(path)
}
