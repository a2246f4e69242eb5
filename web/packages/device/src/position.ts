/** One measurement of the position. `takenAtMs` is of this device's clock. Never converted to another datum. */
export interface Fix {
  lon: number
  lat: number
  /** Radius in metres that contains the true position with 95 %. */
  accuracy_m: number
  datum: 'wgs84'
  takenAtMs: number
}

/** Why there is no position. `timeout` is not a refusal: some in-app browsers have permission and never get a fix. */
export type PositionFailure = 'refused' | 'timeout' | 'unavailable' | 'unsupported'

export class PositionProblem extends Error {
  override readonly name = 'PositionProblem'
  constructor(readonly failure: PositionFailure) {
    super(`no position: ${failure}`)
  }
}

/** How exact a position is, in words. `coarse` is what a phone reports while precise location is switched off. */
export type AccuracyBand = 'good' | 'fair' | 'coarse'

/** Metres up to which an accuracy is called good or fair. Only words for the student: the server judges. */
const GOOD_M = 50
const FAIR_M = 500

export function accuracyBand(accuracyM: number): AccuracyBand {
  if (accuracyM <= GOOD_M) return 'good'
  return accuracyM <= FAIR_M ? 'fair' : 'coarse'
}

export interface SamplingRules {
  /** At least so many fixes are taken, even if that takes longer than `withinS`. */
  minCount: number
  maxCount: number
  /** Seconds over which the fixes are spread. */
  withinS: number
  /** Seconds after which a single fix counts as failed. */
  timeoutS?: number
}

const DEFAULT_TIMEOUT_S = 15

/**
 * Take fresh positions over the sampling time and report each as it comes. Rejects with `PositionProblem` if the first
 * one fails; a later failure is skipped while enough others come.
 */
export async function samplePositions(
  rules: SamplingRules,
  onFix: (fix: Fix, count: number) => void = () => undefined,
  signal?: AbortSignal,
): Promise<Fix[]> {
  const minCount = Math.max(3, rules.minCount)
  const everyMs = (rules.withinS * 1000) / Math.max(minCount - 1, 1)
  const startedAtMs = performance.now()
  const fixes: Fix[] = []
  let failures = 0
  while (fixes.length < rules.maxCount) {
    signal?.throwIfAborted()
    try {
      const fix = await takeFix(rules.timeoutS ?? DEFAULT_TIMEOUT_S)
      fixes.push(fix)
      onFix(fix, fixes.length)
    } catch (error) {
      failures += 1
      if (fixes.length === 0 || failures >= minCount) throw error
    }
    const elapsedMs = performance.now() - startedAtMs
    if (fixes.length >= minCount && elapsedMs >= rules.withinS * 1000) break
    await pause(Math.max(0, fixes.length * everyMs - elapsedMs), signal)
  }
  return fixes
}

/** One fresh position. Rejects with `PositionProblem`. */
export function takeFix(timeoutS: number = DEFAULT_TIMEOUT_S): Promise<Fix> {
  const geolocation = (navigator as { geolocation?: Geolocation }).geolocation
  if (!geolocation) return Promise.reject(new PositionProblem('unsupported'))
  return new Promise((resolve, reject) => {
    const fail = (error: GeolocationPositionError) => reject(new PositionProblem(failureOf(error)))
    const options = { enableHighAccuracy: true, maximumAge: 0, timeout: timeoutS * 1000 }
    geolocation.getCurrentPosition((position) => resolve(toFix(position)), fail, options)
  })
}

function toFix({ coords, timestamp }: GeolocationPosition): Fix {
  return {
    lon: coords.longitude,
    lat: coords.latitude,
    accuracy_m: coords.accuracy,
    datum: 'wgs84',
    takenAtMs: timestamp,
  }
}

function failureOf(error: GeolocationPositionError): PositionFailure {
  if (error.code === error.PERMISSION_DENIED) return 'refused'
  return error.code === error.TIMEOUT ? 'timeout' : 'unavailable'
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms === 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    })
  })
}
