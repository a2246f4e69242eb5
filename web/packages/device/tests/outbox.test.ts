import 'fake-indexeddb/auto'

import { beforeEach, describe, expect, it, vi } from 'vitest'

import {
  addToOutbox,
  loadOutbox,
  loadReceipts,
  type OutboxTransport,
  removeFromOutbox,
  retryDelayMs,
  sendItem,
} from '../src/outbox.ts'

const RECEIPT = { submissionId: 's', receipt: 'r', framesDueAt: '2026-03-02T00:02:00Z' }
const busy = (attempted: string) => ({ isTemporary: true, retryAfterS: 7, attempted })

function transport(over: Partial<OutboxTransport> = {}): OutboxTransport {
  return { sendEnvelope: vi.fn(async () => RECEIPT), sendFrame: vi.fn(async () => undefined), ...over }
}

async function newItem(createdAtMs = 1000) {
  const frames = [new Uint8Array([1]).buffer, new Uint8Array([2]).buffer]
  return addToOutbox({ id: 'one', rollCallId: 'call', envelope: 'a.b.c', frames }, createdAtMs)
}

beforeEach(async () => {
  for (const { id } of await loadOutbox()) await removeFromOutbox(id)
})

describe('an item of the outbox', () => {
  it('is stored until envelope and frames have arrived', async () => {
    const item = await newItem()
    const sender = transport()
    expect(await loadOutbox()).toHaveLength(1)
    const result = await sendItem(item, sender)
    expect(result.state).toBe('done')
    expect(sender.sendFrame).toHaveBeenNthCalledWith(2, 's', 1, item.frames[1])
    expect(await loadOutbox()).toEqual([])
  })

  it('is sent again with the same bytes and the first signed time', async () => {
    const sendEnvelope = vi.fn().mockRejectedValueOnce(busy('first')).mockRejectedValueOnce(busy('second'))
    sendEnvelope.mockResolvedValue(RECEIPT)
    const sender = transport({ sendEnvelope })
    let { item } = await sendItem(await newItem(), sender)
    expect(item.retryAtMs).toBeGreaterThanOrEqual(Date.now() + 6000)
    ;({ item } = await sendItem(item, sender))
    await sendItem((await loadOutbox())[0] ?? item, sender)
    expect(sendEnvelope.mock.calls.map(([, body]) => body)).toEqual([
      { envelope: 'a.b.c' },
      { envelope: 'a.b.c', attempted: 'first' },
      { envelope: 'a.b.c', attempted: 'first' },
    ])
  })

  it('is its own proof on its first send only, also after a reload in between', async () => {
    const sendEnvelope = vi.fn().mockRejectedValueOnce({ isTemporary: true }).mockResolvedValue(RECEIPT)
    const item = await newItem(Date.now())
    await sendItem(item, transport({ sendEnvelope }))
    await sendItem((await loadOutbox())[0] ?? item, transport({ sendEnvelope }))
    expect(sendEnvelope.mock.calls.map(([, , isOwnProof]) => isOwnProof)).toEqual([true, false])
  })

  it('is sent with a proof if it waited for its first send', async () => {
    const sender = transport()
    await sendItem(await newItem(Date.now() - 40_000), sender)
    expect(sender.sendEnvelope).toHaveBeenCalledWith('call', { envelope: 'a.b.c' }, false)
  })

  it('goes on after a reload with the frame that is missing', async () => {
    const sendFrame = vi.fn().mockResolvedValueOnce(undefined).mockRejectedValueOnce({ isTemporary: true })
    const first = transport({ sendFrame })
    expect((await sendItem(await newItem(), first)).state).toBe('waiting')
    const [stored] = await loadOutbox()
    if (!stored) throw new Error('not stored')
    expect(stored.framesSent).toBe(1)
    const second = transport()
    expect((await sendItem(stored, second)).state).toBe('done')
    expect(second.sendEnvelope).not.toHaveBeenCalled()
    expect(second.sendFrame).toHaveBeenCalledTimes(1)
  })

  it('keeps its receipt on this device', async () => {
    await sendItem(await newItem(), transport())
    expect(await loadReceipts()).toEqual([{ ...RECEIPT, rollCallId: 'call' }])
  })

  it.each([
    ['token_expired', 'waiting'],
    ['key_revoked', 'refused'],
  ])('after %s it is %s', async (code, state) => {
    const error = { isTemporary: false, status: 401, code }
    const sendEnvelope = vi.fn().mockRejectedValue(error)
    expect((await sendItem(await newItem(), transport({ sendEnvelope }))).state).toBe(state)
  })

  it('is removed by a refusal, which is reported', async () => {
    const error = { isTemporary: false, code: 'window_closed' }
    const result = await sendItem(
      await newItem(),
      transport({ sendEnvelope: vi.fn().mockRejectedValue(error) }),
    )
    expect(result).toMatchObject({ state: 'refused', error })
    expect(await loadOutbox()).toEqual([])
  })
})

it('waits as long as the server asks for, otherwise longer each time up to a limit', () => {
  expect(retryDelayMs(3, 12)).toBe(12_000)
  expect([0, 1, 2, 9].map((tries) => retryDelayMs(tries))).toEqual([2000, 4000, 8000, 30_000])
})
