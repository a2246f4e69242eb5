import { describe, expect, it } from 'vitest'

import { mayLoad } from '../src/face-guide/face-guide.ts'
import { faceHint, measureFace, type Point } from '../src/face-guide/geometry.ts'
import { chooseHint } from '../src/face-guide/use-hints.ts'

const PICTURE = { width: 480, height: 640 }
const MIDDLE = { x: 240, y: 288 }

/** A face of `width` pixels around a point; the nose is `turn` eye distances to the right of the picture. */
function face({ width = 240, x = MIDDLE.x, y = MIDDLE.y, turn = 0, roll = 0 } = {}) {
  const eyes = width * 0.45
  const at = (along: number, down: number): Point => ({
    x: x + along * Math.cos(roll) - down * Math.sin(roll),
    y: y + along * Math.sin(roll) + down * Math.cos(roll),
  })
  const landmarks = Array.from({ length: 68 }, () => at(0, 0))
  for (let n = 36; n < 42; n += 1) landmarks[n] = at(-eyes / 2, -20)
  for (let n = 42; n < 48; n += 1) landmarks[n] = at(eyes / 2, -20)
  landmarks[30] = at(turn * eyes, 20)
  return measureFace({ x: x - width / 2, y: y - width / 2, width, height: width }, landmarks, PICTURE)
}

describe('measureFace', () => {
  it('measures the width by the shorter side, and the distance from the middle of the oval', () => {
    expect(face()).toMatchObject({ width: 0.5, asideX: 0, asideY: 0 })
    expect(face({ x: 336 }).asideX).toBeCloseTo(0.2)
  })

  it.each([0, 0.3, -0.4])('measures a turn, also of a head that is tilted by %f', (roll) => {
    expect(face({ turn: 0.3, roll }).turn).toBeCloseTo(0.3)
    expect(face({ turn: -0.15, roll }).turn).toBeCloseTo(-0.15)
  })
})

describe('faceHint', () => {
  it.each([
    ['a face that fits', face(), 'straight', undefined],
    ['a small face', face({ width: 100 }), 'straight', 'far'],
    ['a large face', face({ width: 440 }), 'straight', 'near'],
    ['a face at the edge', face({ x: 360 }), 'straight', 'aside'],
    ['a turned face', face({ turn: 0.3 }), 'straight', 'straight'],
    ['a face turned the other way', face({ turn: -0.3 }), 'straight', 'straight'],
    ['a straight face that is to turn a little', face(), 'slightly_left', 'moreLeft'],
    ['a face turned a little', face({ turn: 0.15 }), 'slightly_left', undefined],
    ['a face turned a little, to the wrong side', face({ turn: 0.15 }), 'slightly_right', 'moreRight'],
    ['a face turned too far for the enrolment', face({ turn: -0.4 }), 'slightly_right', 'tooFar'],
    ['a face turned too little for an action', face({ turn: -0.15 }), 'right', 'moreRight'],
    ['a face turned enough for an action', face({ turn: -0.4 }), 'right', undefined],
  ] as const)('for %s', (_, measured, pose, hint) => {
    expect(faceHint(measured, pose)).toBe(hint)
  })

  it('says that there is no face', () => {
    expect(faceHint(undefined, 'straight')).toBe('noFace')
  })
})

describe('chooseHint', () => {
  it('knows light and sharpness only while the helper is not there', () => {
    expect(chooseHint('blurred', undefined, 'straight')).toBe('blurred')
    expect(chooseHint(undefined, undefined, 'left')).toBeUndefined()
  })
  it('names light before the face, and the face before sharpness', () => {
    expect(chooseHint('dark', 'none', 'straight')).toBe('dark')
    expect(chooseHint('blurred', face({ width: 100 }), 'straight')).toBe('far')
    expect(chooseHint('blurred', face(), 'straight')).toBe('blurred')
  })
})

it.each([
  [undefined, true],
  [{ effectiveType: '4g' }, true],
  [{ effectiveType: 'slow-2g' }, false],
  [{ saveData: true, effectiveType: '4g' }, false],
])('loads the helper on %j: %s', (network, may) => {
  expect(mayLoad(network)).toBe(may)
})
