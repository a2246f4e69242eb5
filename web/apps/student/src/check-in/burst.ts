import type { Frame } from '@dianming/device'

import { actionAt, type BurstPlan, type PlannedAction } from './plan.ts'

/** What a burst needs from its surroundings. */
export interface BurstTools {
  /** Monotonic milliseconds. */
  nowMs(): number
  waitUntil(atMs: number, signal: AbortSignal): Promise<void>
  takeFrame(startedAtMs: number): Promise<Frame>
  /** Called when the requested action changes; undefined: look straight ahead. */
  onAction(action: PlannedAction | undefined): void
  onFrame(count: number, total: number): void
}

/** Too few different pictures: the camera stands still. */
export class CameraFrozen extends Error {
  override readonly name = 'CameraFrozen'
}

/** Take the pictures of a plan at their instants, and announce each action at its own. */
export async function recordBurst(
  plan: BurstPlan,
  minCount: number,
  tools: BurstTools,
  signal: AbortSignal,
): Promise<Frame[]> {
  const startedAtMs = tools.nowMs()
  const changes = plan.actions.flatMap(({ fromMs, untilMs }) => [fromMs, untilMs])
  const instants = [...new Set([...plan.framesMs, ...changes])].sort((one, other) => one - other)
  const frames = new Set(plan.framesMs)
  const taken: Promise<Frame>[] = []
  let shown: PlannedAction | undefined
  for (const atMs of instants) {
    await tools.waitUntil(startedAtMs + atMs, signal)
    const action = actionAt(plan, atMs)
    if (action !== shown) {
      shown = action
      tools.onAction(action)
    }
    if (!frames.has(atMs)) continue
    taken.push(tools.takeFrame(startedAtMs)) // encoding goes on while the next picture is awaited
    tools.onFrame(taken.length, plan.framesMs.length)
  }
  const different = new Map((await Promise.all(taken)).map((frame) => [frame.sha256, frame]))
  if (different.size < minCount) throw new CameraFrozen('the camera gives the same picture again and again')
  return [...different.values()].sort((one, other) => one.at_ms - other.at_ms)
}

/** Wait until an instant of `performance.now()`. Rejects when the signal is aborted. */
export function waitUntil(atMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', abort)
        resolve()
      },
      Math.max(0, atMs - performance.now()),
    )
    signal.addEventListener('abort', abort, { once: true })
  })
}
