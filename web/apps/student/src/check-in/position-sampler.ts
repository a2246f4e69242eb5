import { type Fix, samplePositions, type SamplingRules } from '@dianming/device'
import { computed, onScopeDispose, ref, shallowRef } from 'vue'

/** A sampling that is older than this is taken again: the server refuses old fixes. */
const REUSE_S = 30

/** Samples the position in the background while the student gets ready. */
export function usePositionSampler(sample = samplePositions, nowMs: () => number = Date.now) {
  const fixes = shallowRef<Fix[]>([])
  const problem = shallowRef<unknown>()
  const isComplete = ref(false)
  let running: Promise<Fix[]> | undefined
  let abort = new AbortController()

  const accuracyM = computed(() => {
    const best = Math.min(...fixes.value.map(({ accuracy_m }) => accuracy_m))
    return Number.isFinite(best) ? best : undefined
  })

  /** Start a new sampling. */
  function start(rules: SamplingRules): void {
    stop()
    abort = new AbortController()
    fixes.value = []
    problem.value = undefined
    isComplete.value = false
    const { signal } = abort
    running = sample(rules, (fix) => (fixes.value = [...fixes.value, fix]), signal)
    running.then(
      () => (isComplete.value = !signal.aborted),
      (error: unknown) => (problem.value = signal.aborted ? undefined : error),
    )
  }

  /** Start again unless a sampling runs or its oldest fix is still young enough to be signed soon. */
  function refresh(rules: SamplingRules): void {
    const oldestMs = fixes.value[0]?.takenAtMs ?? nowMs()
    const isOld = nowMs() - oldestMs > REUSE_S * 1000
    if (running === undefined || problem.value !== undefined || isOld) start(rules)
  }

  function wait(): Promise<Fix[]> {
    return running ?? Promise.reject(new Error('no sampling was started'))
  }

  function stop(): void {
    abort.abort(new DOMException('stopped', 'AbortError'))
    running = undefined
  }
  onScopeDispose(stop)

  return { fixes, problem, isComplete, accuracyM, start, refresh, wait, stop }
}
