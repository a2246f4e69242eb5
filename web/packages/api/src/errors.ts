/** An entry of `errors` in a problem document: what is wrong with one field. */
export interface FieldProblem {
  field: string
  message: string
}

/** The languages of the sentences in a problem document. */
export type SentenceLanguage = 'zh' | 'en'

interface ProblemBody {
  code?: unknown
  detail_zh?: unknown
  detail_en?: unknown
  errors?: unknown
  server_time?: unknown
  attempted?: unknown
  checks?: unknown
}

/** Codes that the client gives itself, because no answer of the server has one. */
export type ClientCode = 'network_unreachable' | 'answer_unreadable'

const CLIENT_SENTENCES: Record<ClientCode, Record<SentenceLanguage, string>> = {
  network_unreachable: {
    zh: '连接不上服务器。请检查网络后再试一次。',
    en: 'The server cannot be reached. Check the network and try again.',
  },
  answer_unreadable: {
    zh: '服务器的答复无法识别。请稍后再试；一直这样请联系学校。',
    en: 'The answer of the server cannot be read. Try again later; if it stays so, tell the school.',
  },
}

/** A refused or failed request: the stable code, the status (0 without an answer) and a sentence that says what to do. */
export class ApiError extends Error {
  readonly code: string
  readonly status: number
  readonly sentences: Readonly<Record<SentenceLanguage, string>>
  readonly fields: readonly FieldProblem[]
  /** Seconds after which the server asks for a retry. */
  readonly retryAfterS: number | undefined
  /** With `proof_clock_wrong`: the server's time, in milliseconds since the epoch. */
  readonly serverTimeMs: number | undefined
  /** With `rebinding_check_needed`: the ways to prove who one is, `face` and `in_person`. */
  readonly checks: readonly string[]
  /** With `intake_busy`: the signed time of this attempt, for the retry. */
  readonly attempted: string | undefined

  constructor(parts: {
    code: string
    status: number
    sentences: Record<SentenceLanguage, string>
    fields?: readonly FieldProblem[]
    retryAfterS?: number | undefined
    serverTimeMs?: number | undefined
    attempted?: string | undefined
    checks?: readonly string[]
    cause?: unknown
  }) {
    super(`${parts.code} (${parts.status})`, { cause: parts.cause })
    this.name = 'ApiError'
    this.code = parts.code
    this.status = parts.status
    this.sentences = parts.sentences
    this.fields = parts.fields ?? []
    this.retryAfterS = parts.retryAfterS
    this.serverTimeMs = parts.serverTimeMs
    this.attempted = parts.attempted
    this.checks = parts.checks ?? []
  }

  /** The sentence in the caller's language, given as a language tag such as `zh-CN`. */
  sentence(language: string): string {
    return this.sentences[language.startsWith('en') ? 'en' : 'zh']
  }

  /** Whether the same request may succeed later. */
  get isTemporary(): boolean {
    return this.code in CLIENT_SENTENCES || this.status === 429 || this.status >= 500
  }
}

/** An error without an answer of ours: no connection, or an answer of another program (a proxy, a login page). */
export function clientError(code: ClientCode, status = 0, cause?: unknown): ApiError {
  return new ApiError({ code, status, sentences: CLIENT_SENTENCES[code], cause })
}

/** Read the problem document (RFC 9457) of an answer that is no success. Never throws. */
export async function readProblem(response: Response): Promise<ApiError> {
  const type = response.headers.get('Content-Type') ?? ''
  if (!type.startsWith('application/problem+json')) return clientError('answer_unreadable', response.status)
  let body: ProblemBody
  try {
    body = (await response.json()) as ProblemBody
  } catch (cause) {
    return clientError('answer_unreadable', response.status, cause)
  }
  const zh = text(body.detail_zh) ?? CLIENT_SENTENCES.answer_unreadable.zh
  const retryAfter = Number(response.headers.get('Retry-After') ?? Number.NaN)
  const serverTime = Date.parse(text(body.server_time) ?? '')
  return new ApiError({
    code: text(body.code) ?? 'answer_unreadable',
    status: response.status,
    sentences: { zh, en: text(body.detail_en) ?? zh },
    fields: Array.isArray(body.errors) ? body.errors.filter(isFieldProblem) : [],
    retryAfterS: Number.isFinite(retryAfter) ? retryAfter : undefined,
    serverTimeMs: Number.isFinite(serverTime) ? serverTime : undefined,
    attempted: text(body.attempted),
    checks: Array.isArray(body.checks) ? body.checks.filter((each) => typeof each === 'string') : [],
  })
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function isFieldProblem(value: unknown): value is FieldProblem {
  const entry = value as Partial<FieldProblem> | null
  return typeof entry?.field === 'string' && typeof entry.message === 'string'
}
