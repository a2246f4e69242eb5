import { expect, it } from 'vitest'

import { type BurstTools, CameraFrozen, recordBurst } from '../src/check-in/burst.ts'
import type { BurstPlan, PlannedAction } from '../src/check-in/plan.ts'

const action: PlannedAction = { action: 'turn_left', zh: '', en: '', fromMs: 200, untilMs: 600 }
const plan: BurstPlan = { framesMs: [0, 300, 500, 900], actions: [action], usesCues: true }

function tools(digest: (n: number) => string) {
  const log: string[] = []
  let nowMs = 5000
  let count = 0
  const made: BurstTools = {
    nowMs: () => nowMs,
    async waitUntil(atMs, signal) {
      signal.throwIfAborted()
      nowMs = atMs
    },
    async takeFrame(startedAtMs) {
      log.push(`frame ${nowMs - startedAtMs}`)
      count += 1
      return { sha256: digest(count), size: 1, at_ms: nowMs - startedAtMs, bytes: new ArrayBuffer(1) }
    },
    onAction: (next) => log.push(`${next?.action ?? 'rest'} ${nowMs - 5000}`),
    onFrame: () => undefined,
  }
  return { made, log }
}

it('announces each action at its instant and takes the pictures at theirs', async () => {
  const { made, log } = tools(String)
  const frames = await recordBurst(plan, 4, made, new AbortController().signal)
  expect(log).toEqual(['frame 0', 'turn_left 200', 'frame 300', 'frame 500', 'rest 600', 'frame 900'])
  expect(frames.map(({ at_ms }) => at_ms)).toEqual([0, 300, 500, 900])
})

it('refuses the pictures of a camera that stands still', async () => {
  const { made } = tools(() => 'same')
  await expect(recordBurst(plan, 4, made, new AbortController().signal)).rejects.toBeInstanceOf(CameraFrozen)
})

it('stops when it is cancelled', async () => {
  const { made, log } = tools(String)
  const abort = new AbortController()
  const onFrame = () => abort.abort(new DOMException('cancelled', 'AbortError'))
  await expect(recordBurst(plan, 4, { ...made, onFrame }, abort.signal)).rejects.toThrow('cancelled')
  expect(log).toEqual(['frame 0'])
})
