import type { ClientHooks } from './client.ts'
import { ApiError, clientError, readProblem } from './errors.ts'
import type { StaffSchemas } from './staff.ts'

const REFRESH_TOKEN = 'dianming.staff.refresh'
const DEVICE_TOKENS = 'dianming.staff.device.'
const LOCK = 'dianming.staff.session'
const SESSIONS = '/staff/v1/sessions'

type Tokens = StaffSchemas['TokensOut']
type SignIn = Omit<StaffSchemas['SignInIn'], 'device_token'>

/**
 * The sign-in of a member of staff. The access token is in memory only. The refresh token is single-use, and using an
 * old one ends the session: tabs share it through the storage and renew one at a time.
 */
export class StaffSession implements ClientHooks {
  #accessToken: string | undefined
  readonly #storage: Storage
  readonly #language: () => string
  readonly #onEnd: () => void
  readonly #observe: ClientHooks['observe']

  constructor(options: {
    language: () => string
    onEnd: () => void
    storage?: Storage
    /** Read the time of each answer. */
    observe?: ClientHooks['observe']
  }) {
    this.#language = options.language
    this.#onEnd = options.onEnd
    this.#storage = options.storage ?? localStorage
    this.#observe = options.observe
  }

  /** Whether this device has tokens. The server may have ended their session. */
  get isSignedIn(): boolean {
    return this.#accessToken !== undefined || this.#storage.getItem(REFRESH_TOKEN) !== null
  }

  language(): string {
    return this.#language()
  }

  observe(response: Response, sentAtMs: number): void {
    this.#observe?.(response, sentAtMs)
  }

  /** Sign in with password and authenticator code. Rejects with `ApiError`. */
  async signIn(body: SignIn): Promise<void> {
    const known = this.#storage.getItem(DEVICE_TOKENS + body.login)
    const tokens = await this.#post(SESSIONS, known === null ? body : { ...body, device_token: known })
    if (tokens.device_token) this.#storage.setItem(DEVICE_TOKENS + body.login, tokens.device_token)
    this.#keep(tokens)
  }

  /** Forget the tokens of this device. To sign out, end the session at the server first: `DELETE /v1/sessions/current`. */
  forget(): void {
    this.#accessToken = undefined
    this.#storage.removeItem(REFRESH_TOKEN)
    this.#onEnd()
  }

  async authorize(request: Request): Promise<void> {
    if (this.#accessToken === undefined && this.isSignedIn) await this.#renew(undefined)
    if (this.#accessToken !== undefined) request.headers.set('Authorization', `Bearer ${this.#accessToken}`)
  }

  async recover(problem: ApiError, request: Request): Promise<boolean> {
    if (problem.status !== 401) return false
    const refused = request.headers.get('Authorization')?.slice('Bearer '.length)
    return this.#renew(refused)
  }

  /** Get new tokens, unless another call or tab has renewed them. Returns whether there is a usable access token. */
  async #renew(refused: string | undefined): Promise<boolean> {
    return withLock(async () => {
      if (this.#accessToken !== undefined && this.#accessToken !== refused) return true
      const refreshToken = this.#storage.getItem(REFRESH_TOKEN)
      if (refreshToken === null) {
        this.forget()
        return false
      }
      try {
        this.#keep(await this.#post(`${SESSIONS}/refresh`, { refresh_token: refreshToken }))
        return true
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) {
          this.forget()
          return false
        }
        throw error
      }
    })
  }

  #keep(tokens: Tokens): void {
    this.#accessToken = tokens.access_token
    this.#storage.setItem(REFRESH_TOKEN, tokens.refresh_token)
  }

  async #post(path: string, body: unknown): Promise<Tokens> {
    let response: Response
    try {
      response = await fetch(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Accept-Language': this.#language() },
        body: JSON.stringify(body),
      })
    } catch (cause) {
      throw clientError('network_unreachable', 0, cause)
    }
    if (!response.ok) throw await readProblem(response)
    return (await response.json()) as Tokens
  }
}

let queue: Promise<unknown> = Promise.resolve()

/** Run one at a time in all tabs; in an old browser without locks, one at a time in this tab. */
function withLock<T>(task: () => Promise<T>): Promise<T> {
  const locks = (navigator as { locks?: LockManager }).locks
  if (locks) return locks.request(LOCK, task) as Promise<T>
  const next = queue.then(task, task)
  queue = next.catch(() => undefined)
  return next
}
