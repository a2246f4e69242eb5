import { expect, it } from 'vitest'

import { ServerClock } from '../src/clock.ts'

function answer(serverMs: number): Response {
  return new Response(null, { headers: { Date: new Date(serverMs).toUTCString() } })
}

it('is this device until the first answer', () => {
  expect(new ServerClock(() => 5000).nowMs()).toBe(5000)
})

it('comes closer to the server with each answer', () => {
  let deviceMs = 0
  const aheadMs = 180_250
  const clock = new ServerClock(() => deviceMs)
  for (const at of [1_000_000, 1_000_400, 1_000_700, 1_001_900]) {
    deviceMs = at
    clock.observe(answer(at + aheadMs), at)
  }
  expect(Math.abs(clock.offsetMs - aheadMs)).toBeLessThan(200)
})

it('follows a device clock that was set', () => {
  let deviceMs = 1_000_000
  const clock = new ServerClock(() => deviceMs)
  clock.observe(answer(1_000_000), deviceMs)
  deviceMs = 9_000_000
  clock.observe(answer(1_001_000), deviceMs)
  expect(Math.abs(clock.nowMs() - 1_001_000)).toBeLessThanOrEqual(1000)
})

it('takes the time that the server states', () => {
  const clock = new ServerClock(() => 1000)
  clock.set(61_000)
  expect(clock.nowMs()).toBe(61_000)
})

it('ignores an answer without a date', () => {
  const clock = new ServerClock(() => 1000)
  clock.observe(new Response(null), 900)
  expect(clock.offsetMs).toBe(0)
})
