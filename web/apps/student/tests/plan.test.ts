import { describe, expect, it } from 'vitest'

import { actionAt, type BurstRules, planBurst } from '../src/check-in/plan.ts'

const frames: BurstRules['frames'] = {
  min_count: 8,
  max_count: 16,
  max_bytes: 1,
  max_pixels: 1,
  max_total_pixels: null,
  max_unscaled_pixels: 1,
  within_s: 20,
}
const rules = (...cues: (number | null)[]): BurstRules => ({
  frames,
  actions: cues.map((cue_ms) => ({ action: 'open_mouth', zh: '请张嘴', en: 'Open your mouth', cue_ms })),
})

describe('a burst', () => {
  it.each([[[1600, 3200, 4800]], [[4000, 8000, 10_000]], [[1600, 5600]], [[3999, 5599]]])(
    'has a rest, two pictures of each action and a rest for cues at %j',
    (cues) => {
      const plan = planBurst(rules(...cues), true)
      expect(plan.framesMs.length).toBeGreaterThanOrEqual(frames.min_count)
      expect(plan.framesMs.length).toBeLessThanOrEqual(frames.max_count)
      expect(plan.framesMs).toEqual([...plan.framesMs].sort((one, other) => one - other))
      expect(plan.framesMs[0]).toBe(0)
      expect(plan.framesMs.at(-1)).toBeLessThan(frames.within_s * 1000)
      for (const { fromMs, untilMs } of plan.actions) {
        // Half a second after the cue a person has reacted.
        const inside = plan.framesMs.filter((atMs) => atMs > fromMs + 500 && atMs <= untilMs + 200)
        expect(inside.length).toBeGreaterThanOrEqual(2)
      }
      const last = plan.actions.at(-1)
      expect(plan.framesMs.filter((atMs) => atMs > (last?.untilMs ?? 0) + 300)).toHaveLength(2)
    },
  )

  it('is over 3.2 seconds after the last cue', () => {
    expect(planBurst(rules(4000, 8000), true).framesMs.at(-1)).toBeLessThanOrEqual(11_200)
    expect(planBurst(rules(3000, 6500, 10_000), true).framesMs.at(-1)).toBeLessThanOrEqual(13_200)
  })

  it('shows an action at its cue, not before', () => {
    const plan = planBurst(rules(1600, 4000), true)
    expect(plan.usesCues).toBe(true)
    expect([0, 1599].map((atMs) => actionAt(plan, atMs))).toEqual([undefined, undefined])
    expect(actionAt(plan, 1600)).toBe(plan.actions[0])
    expect(actionAt(plan, 4000)).toBe(plan.actions[1])
  })

  it('has an even rhythm without cues, and does not claim them', () => {
    expect(planBurst(rules(1600, 4000), false)).toMatchObject({
      usesCues: false,
      actions: [{ fromMs: 800 }, { fromMs: 3400 }],
    })
    expect(planBurst(rules(1600, null), true).usesCues).toBe(false)
  })
})
