import type { MobileSchemas } from '@dianming/api/mobile'

export type Action = MobileSchemas['Action']

/** An action and when the student is asked for it; milliseconds since the burst began. */
export interface PlannedAction {
  action: Action
  zh: string
  en: string
  fromMs: number
  /** From here the student looks straight ahead again. */
  untilMs: number
}

/** When pictures are taken and actions are shown; milliseconds since the burst began. */
export interface BurstPlan {
  framesMs: number[]
  actions: PlannedAction[]
  /** Whether each action is shown only at the instant that the server drew. */
  usesCues: boolean
}

/** The parts of a challenge that decide about its burst. */
export type BurstRules = Pick<MobileSchemas['ChallengeOut'], 'actions' | 'frames'>

const FIRST_FRAME_MS = 300
const FRAME_EVERY_MS = 450
const MOST_FRAMES_PER_ACTION = 5
/** An action ends right after its last picture: waiting longer would only cost time. */
const LAST_FRAME_MS = 100
/** The next cue may come while a picture of the action before it is taken: nobody reacts that fast. */
const REACTION_MS = 200
const REST_FRAMES_MS = [600, 950]
/** Without cues, an action starts this long after the one before it. */
const CALM_START_MS = 800
const CALM_EVERY_MS = 2600

/**
 * Plan a burst: a picture at rest, at least two of each action, and two at rest again. `withCues` shows each action only at
 * the server's instant; otherwise the student knows all actions before, and they come in an even rhythm.
 */
export function planBurst({ actions, frames }: BurstRules, withCues: boolean): BurstPlan {
  const usesCues = withCues && actions.every(({ cue_ms }) => cue_ms !== null)
  const starts = actions.map(({ cue_ms }, n) =>
    usesCues ? (cue_ms as number) : CALM_START_MS + n * CALM_EVERY_MS,
  )
  const spare = frames.max_count - 1 - REST_FRAMES_MS.length
  const perAction = Math.min(MOST_FRAMES_PER_ACTION, Math.floor(spare / Math.max(1, actions.length)))
  const longestMs = FIRST_FRAME_MS + (perAction - 1) * FRAME_EVERY_MS + LAST_FRAME_MS
  const planned = actions.map(({ action, zh, en }, n) => {
    const fromMs = starts[n] as number
    return {
      action,
      zh,
      en,
      fromMs,
      untilMs: Math.min(fromMs + longestMs, starts[n + 1] ?? Number.POSITIVE_INFINITY),
    }
  })
  const framesMs = [0]
  for (const { fromMs, untilMs } of planned) {
    for (let n = 0; n < perAction; n += 1) {
      const atMs = fromMs + FIRST_FRAME_MS + n * FRAME_EVERY_MS
      if (atMs <= untilMs + REACTION_MS) framesMs.push(atMs)
    }
  }
  const restMs = planned.at(-1)?.untilMs ?? 0
  framesMs.push(...REST_FRAMES_MS.map((afterMs) => restMs + afterMs))
  while (framesMs.length < frames.min_count) framesMs.push((framesMs.at(-1) as number) + FRAME_EVERY_MS)
  return { framesMs, actions: planned, usesCues }
}

/** The action that the student is asked for now, or undefined while the face is at rest. */
export function actionAt(plan: BurstPlan, atMs: number): PlannedAction | undefined {
  return plan.actions.find(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs)
}
