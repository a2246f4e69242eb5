import { describe, expect, it } from 'vitest'

import {
  changedPoints,
  doneOf,
  joinPoints,
  type Point,
  withNewest,
} from '../src/roll-calls/board/curve/points.ts'
import { bandOf } from '../src/roll-calls/board/map/bands.ts'
import { deliveryRows } from '../src/roll-calls/board/queue.ts'

const MINUTE_S = 60
const at = (seconds: number) => new Date(Date.UTC(2026, 10, 12, 12, 0, seconds)).toISOString()
const point = (seconds: number, present: number, missed = 0): Point => ({
  at: at(seconds),
  present,
  missed,
  excused: 0,
  undetermined: 0,
})

describe('the curve of a board', () => {
  it('keeps one point of the stream for each step', () => {
    let live: Point[] = []
    for (let second = 0; second <= 600; second += 1)
      live = withNewest(live, at(second), point(0, second), MINUTE_S)
    expect(live.length).toBeLessThanOrEqual(13)
    expect(live.at(-1)).toEqual(point(600, 600))
    expect(live.map((each) => each.at)).toEqual(live.map((each) => each.at).sort())
  })

  it('continues the points of the server by newer ones of the stream', () => {
    const joined = joinPoints([point(0, 0), point(60, 3)], [point(50, 2), point(60, 3), point(61, 4)])
    expect(joined.map((each) => each.present)).toEqual([0, 3, 4])
  })

  it('lists in the table the points where something changed, the first and the last', () => {
    const points = [point(0, 0), point(60, 0), point(120, 2), point(180, 2), point(240, 2)]
    expect(changedPoints(points).map((each) => each.at)).toEqual([at(0), at(120), at(240)])
    expect(doneOf(point(0, 2, 3))).toBe(5)
  })
})

describe('the map of a board', () => {
  it.each([
    [0, 'late'],
    [49, 'late'],
    [50, 'half'],
    [79, 'half'],
    [80, 'most'],
    [95, 'done'],
    [100, 'done'],
  ])('puts %i percent into the band %s', (share, name) => {
    expect(bandOf(share).name).toBe(name)
  })
})

describe('the delivery of notices', () => {
  it('lists the channels that were used', () => {
    const channels = { sms: { delivered: 7, failed: 1 }, in_app: { queued: 2, delivered: 6 } }
    expect(deliveryRows({ channels })).toEqual([
      { channel: 'in_app', queued: 2, sent: 0, delivered: 6, failed: 0 },
      { channel: 'sms', queued: 0, sent: 0, delivered: 7, failed: 1 },
    ])
  })
})
