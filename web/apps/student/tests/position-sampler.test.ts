import { type Fix, PositionProblem, type SamplingRules } from '@dianming/device'
import { afterEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'

import { usePositionSampler } from '../src/check-in/position-sampler.ts'

const RULES: SamplingRules = { minCount: 3, maxCount: 20, withinS: 8 }
const fix = (takenAtMs: number, accuracy_m = 20): Fix => ({
  lon: 1,
  lat: 2,
  accuracy_m,
  datum: 'wgs84',
  takenAtMs,
})
const scope = effectScope()
afterEach(() => scope.stop())

function sampler(sample: Parameters<typeof usePositionSampler>[0], nowMs = () => 1000) {
  const made = effectScope().run(() => usePositionSampler(sample, nowMs))
  if (!made) throw new Error('no scope')
  return made
}

it('tells the best accuracy so far', async () => {
  const found = sampler(async (_, onFix) => {
    onFix?.(fix(0, 80), 1)
    onFix?.(fix(1, 25), 2)
    return [fix(0, 80), fix(1, 25)]
  })
  found.start(RULES)
  expect(await found.wait()).toHaveLength(2)
  expect(found.accuracyM.value).toBe(25)
})

it('samples again only if the oldest fix is old or the last sampling failed', async () => {
  let now = 1000
  const sample = vi.fn(async (_: SamplingRules, onFix?: (fix: Fix, count: number) => void) => {
    onFix?.(fix(now), 1)
    return [fix(now)]
  })
  const found = sampler(sample, () => now)
  found.refresh(RULES)
  await found.wait()
  now += 20_000
  found.refresh(RULES)
  expect(sample).toHaveBeenCalledTimes(1)
  now += 20_000
  found.refresh(RULES)
  expect(sample).toHaveBeenCalledTimes(2)
})

it('keeps the failure for the page', async () => {
  const found = sampler(async () => Promise.reject(new PositionProblem('timeout')))
  found.start(RULES)
  await expect(found.wait()).rejects.toThrow('timeout')
  expect(found.problem.value).toMatchObject({ failure: 'timeout' })
})
