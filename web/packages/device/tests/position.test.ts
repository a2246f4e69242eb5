import { afterEach, describe, expect, it, vi } from 'vitest'

import { accuracyBand, PositionProblem, samplePositions, takeFix } from '../src/position.ts'

type Answer = number | { code: number }

function geolocation(answers: Answer[]) {
  const getCurrentPosition = vi.fn((done: PositionCallback, fail?: PositionErrorCallback | null) => {
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    const codes = { PERMISSION_DENIED: 1, POSITION_UNAVAILABLE: 2, TIMEOUT: 3 }
    if (typeof answer === 'object') fail?.({ ...codes, code: answer.code } as GeolocationPositionError)
    else
      done({
        coords: { longitude: 113.5, latitude: 34.8, accuracy: answer },
        timestamp: 1000,
      } as GeolocationPosition)
  })
  vi.stubGlobal('navigator', { geolocation: { getCurrentPosition } })
  return getCurrentPosition
}

afterEach(() => vi.unstubAllGlobals())

describe('a position', () => {
  it('is fresh, exact and of the datum that browsers use', async () => {
    const asked = geolocation([18])
    const expected = { lon: 113.5, lat: 34.8, accuracy_m: 18, datum: 'wgs84', takenAtMs: 1000 }
    expect(await takeFix(5)).toEqual(expected)
    expect(asked.mock.lastCall).toContainEqual({ enableHighAccuracy: true, maximumAge: 0, timeout: 5000 })
  })

  it.each([
    [1, 'refused'],
    [2, 'unavailable'],
    [3, 'timeout'],
  ])('tells failure %i as %s', async (code, failure) => {
    geolocation([{ code }])
    await expect(takeFix()).rejects.toMatchObject({ failure })
  })

  it('is unsupported without the interface', async () => {
    vi.stubGlobal('navigator', {})
    await expect(takeFix()).rejects.toBeInstanceOf(PositionProblem)
  })
})

describe('sampling', () => {
  const rules = { minCount: 1, maxCount: 10, withinS: 0 }

  it('takes at least three fixes and reports each', async () => {
    geolocation([20, 18, 16])
    const seen: number[] = []
    const fixes = await samplePositions(rules, (fix) => seen.push(fix.accuracy_m))
    expect(fixes.map((fix) => fix.accuracy_m)).toEqual([20, 18, 16])
    expect(seen).toEqual([20, 18, 16])
  })

  it('skips a failure between other fixes', async () => {
    geolocation([20, { code: 3 }, 18, 16])
    expect(await samplePositions(rules)).toHaveLength(3)
  })

  it('ends with the reason if the first fix fails', async () => {
    geolocation([{ code: 1 }])
    await expect(samplePositions(rules)).rejects.toMatchObject({ failure: 'refused' })
  })

  it('is stopped by its signal', async () => {
    geolocation([20])
    await expect(samplePositions(rules, undefined, AbortSignal.abort(new Error('left')))).rejects.toThrow(
      'left',
    )
  })
})

it('calls accuracies by words', () => {
  expect([18, 50, 120, 3000].map(accuracyBand)).toEqual(['good', 'good', 'fair', 'coarse'])
})
