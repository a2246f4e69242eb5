import { openStore } from './store.ts'

/** A signed check-in on its way to the server. It survives reloads, and its bytes never change. */
export interface OutboxItem {
  /** Identifier on this device. */
  id: string
  rollCallId: string
  envelope: string
  /** The first signed time of an `intake_busy` answer, with which a retry counts as arrived then. */
  attempted?: string
  /** Pictures in the order of the envelope. */
  frames: ArrayBuffer[]
  framesSent: number
  submissionId?: string
  receipt?: string
  /** The end of the grace period of frames, RFC 3339. */
  framesDueAt?: string
  createdAtMs: number
  /** The next try, in milliseconds since the epoch of this device's clock. */
  retryAtMs: number
  tries: number
  /** A send was begun, so each further one needs a proof of its own. */
  isTried: boolean
}

export interface Receipt {
  submissionId: string
  /** A JWS of the server: the student's evidence of being in time. */
  receipt: string
  framesDueAt: string
}

/** A receipt as it is kept on this device. */
export interface StoredReceipt extends Receipt {
  rollCallId: string
}

/** How items reach the server. Each method rejects with an error like `ApiError`. */
export interface OutboxTransport {
  /** `isOwnProof`: the envelope is the proof of this request, so send it without the header `DPoP`. */
  sendEnvelope(
    rollCallId: string,
    body: { envelope: string; attempted?: string },
    isOwnProof: boolean,
  ): Promise<Receipt>
  sendFrame(submissionId: string, position: number, bytes: ArrayBuffer): Promise<void>
}

/** The parts of `ApiError` that decide about a retry. */
interface SendError {
  code?: string
  status?: number
  isTemporary?: boolean
  retryAfterS?: number | undefined
  attempted?: string | undefined
}

/** What became of an item: still waiting, complete, or refused with the error that says why. */
export type OutboxResult =
  | { state: 'waiting'; item: OutboxItem }
  | { state: 'done'; item: OutboxItem }
  | { state: 'refused'; item: OutboxItem; error: unknown }

/** Milliseconds for which the claims in an envelope serve as its proof; the server allows 60 seconds. */
const OWN_PROOF_MS = 30_000
const FIRST_RETRY_MS = 2000
const LONGEST_RETRY_MS = 30_000
/** Pictures sent at the same time: one after the other, each would wait for the answer to the one before. */
const FRAMES_AT_ONCE = 3

/** Store a signed check-in before its first try. */
export async function addToOutbox(
  item: Pick<OutboxItem, 'id' | 'rollCallId' | 'envelope' | 'frames'>,
  nowMs = Date.now(),
): Promise<OutboxItem> {
  const stored = { ...item, framesSent: 0, createdAtMs: nowMs, retryAtMs: nowMs, tries: 0, isTried: false }
  await save(stored)
  return stored
}

/** Every item that is not complete, oldest first. */
export async function loadOutbox(): Promise<OutboxItem[]> {
  const items = await (await openStore()).getAll('outbox')
  return items.sort((one, other) => one.createdAtMs - other.createdAtMs)
}

/** Forget an item: it is complete, or its roll call is over. */
export async function removeFromOutbox(id: string): Promise<void> {
  await (await openStore()).delete('outbox', id)
}

/** The receipts of this device, in no order. */
export async function loadReceipts(): Promise<StoredReceipt[]> {
  return (await openStore()).getAll('receipts')
}

/**
 * Try once to send what is missing of an item, and store each step. A temporary failure puts the item off; a refusal
 * removes it. `onStep` is told after each step.
 */
export async function sendItem(
  item: OutboxItem,
  transport: OutboxTransport,
  onStep: (item: OutboxItem) => void = () => undefined,
): Promise<OutboxResult> {
  let current = item
  const step = async (change: Partial<OutboxItem>) => {
    current = { ...current, ...change }
    await save(current)
    onStep(current)
  }
  try {
    if (current.submissionId === undefined) {
      const { envelope, attempted } = current
      const body = attempted === undefined ? { envelope } : { envelope, attempted }
      const isOwnProof = !current.isTried && Date.now() - current.createdAtMs < OWN_PROOF_MS
      await step({ isTried: true }) // before it is sent: after a lost answer the envelope is no proof any more
      const receipt = await transport.sendEnvelope(current.rollCallId, body, isOwnProof)
      await (await openStore()).put('receipts', { ...receipt, rollCallId: current.rollCallId })
      await step(receipt)
    }
    while (current.framesSent < current.frames.length) await sendNextFrames(current, transport, step)
  } catch (error) {
    const { retryAfterS, attempted } = error as SendError
    if (!mayRetry(error as SendError)) {
      await removeFromOutbox(current.id)
      return { state: 'refused', item: current, error }
    }
    const first = current.attempted ?? attempted // the first signed time counts, so a later one is ignored
    await step({
      tries: current.tries + 1,
      retryAtMs: Date.now() + retryDelayMs(current.tries, retryAfterS),
      ...(first === undefined ? {} : { attempted: first }),
    })
    return { state: 'waiting', item: current }
  }
  await removeFromOutbox(current.id)
  return { state: 'done', item: current }
}

/** Send the next few pictures at once. Those after a failed one count as not sent; the server takes them again. */
async function sendNextFrames(
  { submissionId, frames, framesSent }: OutboxItem,
  transport: OutboxTransport,
  step: (change: Partial<OutboxItem>) => Promise<void>,
): Promise<void> {
  const next = frames.slice(framesSent, framesSent + FRAMES_AT_ONCE)
  const results = await Promise.allSettled(
    next.map((bytes, n) => transport.sendFrame(submissionId as string, framesSent + n, bytes)),
  )
  const failed = results.findIndex(({ status }) => status === 'rejected')
  await step({ framesSent: framesSent + (failed < 0 ? next.length : failed) })
  if (failed >= 0) throw (results[failed] as PromiseRejectedResult).reason
}

const KEY_LOST = new Set(['key_revoked', 'phone_replaced'])

/** A lost sign-in is not the end of an envelope: the next try gets a new token. */
function mayRetry({ isTemporary, status, code }: SendError): boolean {
  return isTemporary === true || (status === 401 && !KEY_LOST.has(code ?? ''))
}

/** Milliseconds until the next try: what the server asks for, otherwise twice as long each time. */
export function retryDelayMs(tries: number, retryAfterS?: number): number {
  if (retryAfterS !== undefined) return retryAfterS * 1000
  return Math.min(FIRST_RETRY_MS * 2 ** tries, LONGEST_RETRY_MS)
}

async function save(item: OutboxItem): Promise<void> {
  await (await openStore()).put('outbox', item)
}
