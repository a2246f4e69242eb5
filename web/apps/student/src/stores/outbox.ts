import {
  addToOutbox,
  loadOutbox,
  loadReceipts,
  type OutboxItem,
  type OutboxResult,
  sendItem,
  type StoredReceipt,
} from '@dianming/device'
import { defineStore } from 'pinia'
import { computed, ref, shallowReactive, shallowRef } from 'vue'

import { createTransport } from '../check-in/transport.ts'
import { useSession } from './session.ts'

/** Signed check-ins on their way, and the receipts of those that arrived. Sends by itself while the app is open. */
export const useOutbox = defineStore('outbox', () => {
  const { device } = useSession()
  const transport = createTransport(device)
  // Shallow: the items go into IndexedDB, which takes no proxies.
  const items = shallowReactive(new Map<string, OutboxItem>())
  const receipts = shallowReactive(new Map<string, StoredReceipt>())
  const lastRefusal = shallowRef<{ rollCallId: string; error: unknown }>()
  const completed = ref(0)
  const sending = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined

  const waiting = computed(() => [...items.values()])

  function itemOf(rollCallId: string): OutboxItem | undefined {
    return waiting.value.filter((item) => item.rollCallId === rollCallId).at(-1)
  }

  function receiptsOf(rollCallId: string): StoredReceipt[] {
    return [...receipts.values()].filter((each) => each.rollCallId === rollCallId)
  }

  /** Read what an earlier visit left behind, and go on sending. */
  async function resume(): Promise<void> {
    for (const receipt of await loadReceipts()) receipts.set(receipt.submissionId, receipt)
    for (const item of await loadOutbox()) {
      if (!sending.has(item.id)) items.set(item.id, item)
    }
    addEventListener('online', () => void sendAll(true))
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') void sendAll(false)
    })
    await sendAll(true)
  }

  /** Store a signed check-in, then send it for the first time. */
  async function submit(
    item: Pick<OutboxItem, 'id' | 'rollCallId' | 'envelope' | 'frames'>,
  ): Promise<OutboxResult> {
    const stored = await addToOutbox(item)
    return deliver(stored)
  }

  /** Send every item that is due; `now` does not wait for the time of the next try, except the one a server asked for. */
  async function sendAll(now: boolean): Promise<void> {
    for (const item of waiting.value) {
      const due = item.retryAtMs <= Date.now() || (now && item.attempted === undefined)
      if (due && !sending.has(item.id)) await deliver(item)
    }
  }

  async function deliver(item: OutboxItem): Promise<OutboxResult> {
    sending.add(item.id)
    items.set(item.id, item)
    try {
      const result = await sendItem(item, transport, keep)
      if (result.state === 'waiting') keep(result.item)
      else items.delete(item.id)
      if (result.state === 'done') completed.value += 1
      if (result.state === 'refused') lastRefusal.value = { rollCallId: item.rollCallId, error: result.error }
      return result
    } finally {
      sending.delete(item.id)
      schedule()
    }
  }

  function keep(item: OutboxItem): void {
    items.set(item.id, item)
    const { submissionId, receipt, framesDueAt, rollCallId } = item
    if (submissionId && receipt && framesDueAt) {
      receipts.set(submissionId, { submissionId, receipt, framesDueAt, rollCallId })
    }
  }

  function schedule(): void {
    clearTimeout(timer)
    const next = Math.min(
      ...waiting.value.filter(({ id }) => !sending.has(id)).map(({ retryAtMs }) => retryAtMs),
    )
    if (Number.isFinite(next)) timer = setTimeout(() => void sendAll(false), Math.max(0, next - Date.now()))
  }

  return { lastRefusal, completed, itemOf, receiptsOf, resume, submit, sendAll }
})
