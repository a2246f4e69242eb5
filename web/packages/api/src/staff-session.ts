import type { ClientHooks } from './client.ts'
import { ApiError, clientError, readProblem } from './errors.ts'
import type { StaffSchemas } from './staff.ts'

const SIGNED_IN = 'dianming.staff.signed-in'
const DEVICE_TOKENS = 'dianming.staff.device.'
const SESSIONS = '/staff/v1/browser-sessions'
const CHALLENGES = '/staff/v1/passkey-challenges'

type Tokens = StaffSchemas['BrowserTokensOut']
type PasskeyOptions = StaffSchemas['RequestOptionsOut']
type SignIn = Omit<StaffSchemas['SignInIn'], 'device_token'>

/**
 * The sign-in of a member of staff in a browser. The access token is in memory only, and the refresh token in a cookie that
 * no script can read (docs/adr/0020). All tabs share the sign-in: a mark in the storage says that there is one.
 */
export class StaffSession implements ClientHooks {
  #accessToken: string | undefined
  #renewing: Promise<boolean> | undefined
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
    window.addEventListener('storage', (event) => {
      if (event.key === SIGNED_IN && event.newValue === null) this.forget()
    })
  }

  /** Whether a tab of this browser is signed in. The server may have ended the session. */
  get isSignedIn(): boolean {
    return this.#accessToken !== undefined || this.#storage.getItem(SIGNED_IN) !== null
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
    const tokens = await this.#getTokens(SESSIONS, known === null ? body : { ...body, device_token: known })
    if (tokens.device_token) this.#storage.setItem(DEVICE_TOKENS + body.login, tokens.device_token)
    this.#keep(tokens)
  }

  /**
   * Sign in with a passkey. `assert` asks the device for the proof; without one (the person cancelled) nothing happens.
   * Returns whether it signed in. Rejects with `ApiError`.
   */
  async signInWithPasskey(
    assert: (options: PasskeyOptions) => Promise<StaffSchemas['AssertionIn'] | undefined>,
  ): Promise<boolean> {
    const options = (await (await this.#send(CHALLENGES, 'POST')).json()) as PasskeyOptions
    const credential = await assert(options)
    if (!credential) return false
    this.#keep(await this.#getTokens(`${SESSIONS}/passkey`, { credential }))
    return true
  }

  /** End the session at the server and sign out all tabs, even if the server cannot be reached: then it rejects. */
  async signOut(): Promise<void> {
    try {
      await this.#send(`${SESSIONS}/current`, 'DELETE')
    } finally {
      this.forget()
    }
  }

  /** Sign out all tabs of this browser. */
  forget(): void {
    this.#accessToken = undefined
    this.#storage.removeItem(SIGNED_IN)
    this.#onEnd()
  }

  async authorize(request: Request): Promise<void> {
    if (this.#accessToken === undefined && this.isSignedIn) await this.#renew()
    if (this.#accessToken !== undefined) request.headers.set('Authorization', `Bearer ${this.#accessToken}`)
  }

  async recover(problem: ApiError, request: Request): Promise<boolean> {
    if (problem.status !== 401) return false
    const refused = request.headers.get('Authorization')?.slice('Bearer '.length)
    if (this.#accessToken !== undefined && this.#accessToken !== refused) return true
    return this.#renew()
  }

  /** Get a new access token; concurrent callers share one request. Returns whether there is one. */
  #renew(): Promise<boolean> {
    this.#renewing ??= this.#requestToken().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #requestToken(): Promise<boolean> {
    try {
      this.#keep(await this.#getTokens(`${SESSIONS}/refresh`))
      return true
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error
      this.forget()
      return false
    }
  }

  #keep(tokens: Tokens): void {
    this.#accessToken = tokens.access_token
    this.#storage.setItem(SIGNED_IN, 'yes')
  }

  async #getTokens(path: string, body?: unknown): Promise<Tokens> {
    return (await (await this.#send(path, 'POST', body)).json()) as Tokens
  }

  async #send(path: string, method: string, body?: unknown): Promise<Response> {
    const headers = new Headers({ 'Accept-Language': this.#language() })
    if (body !== undefined) headers.set('Content-Type', 'application/json')
    const sentAtMs = Date.now()
    let response: Response
    try {
      response = await fetch(path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
      })
    } catch (cause) {
      throw clientError('network_unreachable', 0, cause)
    }
    this.observe(response, sentAtMs)
    if (!response.ok) throw await readProblem(response)
    return response
  }
}
