import { expect, it } from 'vitest'

import { hintOf, measurePixels } from '../src/check-in/hints.ts'

const SIDE = 16

function picture(luma: (x: number, y: number) => number) {
  const pixels = new Uint8ClampedArray(4 * SIDE * SIDE)
  for (let n = 0; n < SIDE * SIDE; n += 1) {
    pixels.fill(luma(n % SIDE, Math.floor(n / SIDE)), 4 * n, 4 * n + 3)
  }
  return measurePixels(pixels, SIDE, SIDE)
}

it.each([
  ['dark', picture(() => 20)],
  ['bright', picture(() => 250)],
  ['blurred', picture((x) => 100 + x)],
  [undefined, picture((x, y) => ((x + y) % 2 ? 60 : 180))],
] as const)('calls a picture %s', (hint, measure) => {
  expect(hintOf(measure)).toBe(hint)
})
