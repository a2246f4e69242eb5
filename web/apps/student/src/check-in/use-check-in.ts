import { content } from '@dianming/api'
import type { MobileSchemas } from '@dianming/api/mobile'
import {
  closeCamera,
  type Fix,
  type Frame,
  loadKey,
  openCamera,
  randomId,
  type SamplingRules,
  signEnvelope,
  takeFrame,
} from '@dianming/device'
import { onScopeDispose, ref, shallowRef } from 'vue'

import { useOutbox } from '../stores/outbox.ts'
import { useSession } from '../stores/session.ts'
import { recordBurst, waitUntil } from './burst.ts'
import { type Action, type BurstPlan, planBurst, type PlannedAction } from './plan.ts'
import { usePositionSampler } from './position-sampler.ts'
import { envelopePath } from './transport.ts'

export type Phase = 'opening' | 'ready' | 'burst' | 'sending' | 'problem'
type Challenge = MobileSchemas['ChallengeOut']

const FIRST_RULES: SamplingRules = { minCount: 3, maxCount: 20, withinS: 8 }
/** Pictures of 720 × 1280 are enough for the verification, and quickly sent. */
const FRAME_PIXELS = 720 * 1280
/** A challenge with less time left is requested again, so that the answer arrives before its end. */
const NEEDED_MS = 45_000

/** The steps of one check-in: camera, position and challenge; the burst; signing and sending. */
export function useCheckIn(rollCallId: string) {
  const session = useSession()
  const outbox = useOutbox()
  const position = usePositionSampler()
  const phase = ref<Phase>('opening')
  const problem = shallowRef<unknown>()
  const stream = shallowRef<MediaStream>()
  const challenge = shallowRef<Challenge>()
  const plan = shallowRef<BurstPlan>()
  const action = shallowRef<PlannedAction>()
  const framesTaken = ref(0)
  const cannot = ref<Action[]>([])
  const isCalm = ref(false)
  let abort: AbortController | undefined

  function fail(error: unknown): void {
    release()
    problem.value = error
    phase.value = 'problem'
  }

  /** Open the camera, start to sample the position, and request the challenge. */
  async function open(): Promise<void> {
    problem.value = undefined
    phase.value = 'opening'
    position.start(samplingRules()) // new for each try: the student may have moved
    try {
      stream.value ??= await openCamera()
      await requestChallenge()
    } catch (error) {
      return fail(error)
    }
    phase.value = 'ready'
  }

  /** Request other actions, after the student said which are impossible. */
  async function change(): Promise<void> {
    await requestChallenge().catch(fail)
  }

  async function requestChallenge(): Promise<void> {
    const path = { roll_call_id: rollCallId }
    const body = { cannot: cannot.value }
    challenge.value = await content(
      session.api.POST('/v1/roll-calls/{roll_call_id}/challenges', { params: { path }, body }),
    )
    plan.value = planBurst(challenge.value, !isCalm.value)
  }

  function samplingRules(): SamplingRules {
    const rules = challenge.value?.fixes
    return rules
      ? { minCount: rules.min_count, maxCount: rules.max_count, withinS: rules.within_s }
      : FIRST_RULES
  }

  /** Take the pictures, sign, store and send. */
  async function start(video: HTMLVideoElement, onAction: (action?: PlannedAction) => void): Promise<void> {
    try {
      position.refresh(samplingRules())
      const { expires_at } = challenge.value as Challenge
      if (Date.parse(expires_at) - session.clock.nowMs() < NEEDED_MS) await requestChallenge()
      const frames = await record(video, onAction)
      phase.value = 'sending'
      const fixes = await position.wait()
      if (stream.value) closeCamera(stream.value)
      stream.value = undefined
      await submit(challenge.value as Challenge, fixes, frames)
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'AbortError')) fail(error)
    }
  }

  async function record(
    video: HTMLVideoElement,
    onAction: (action?: PlannedAction) => void,
  ): Promise<Frame[]> {
    const { frames: rules } = challenge.value as Challenge
    const limits = { maxBytes: rules.max_bytes, maxPixels: Math.min(FRAME_PIXELS, rules.max_pixels) }
    framesTaken.value = 0
    action.value = undefined
    phase.value = 'burst'
    abort = new AbortController()
    const tools = {
      nowMs: () => performance.now(),
      waitUntil,
      takeFrame: (startedAtMs: number) => takeFrame(video, limits, startedAtMs),
      onAction(next: PlannedAction | undefined) {
        action.value = next
        onAction(next)
      },
      onFrame: (count: number) => (framesTaken.value = count),
    }
    return recordBurst(plan.value as BurstPlan, rules.min_count, tools, abort.signal)
  }

  async function submit(answered: Challenge, fixes: Fix[], frames: Frame[]): Promise<void> {
    const pair = await loadKey()
    if (!pair) throw new Error('the key is gone')
    const claims = { app: 'dianming-web', ...(plan.value?.usesCues ? { cues: true } : {}) }
    const checkIn = { rollCallId, nonce: answered.nonce, fixes, frames, claims }
    const proof = await session.device.claimsFor('POST', envelopePath(rollCallId))
    const envelope = await signEnvelope(pair, checkIn, Date.now(), proof)
    const bytes = frames.map((frame) => frame.bytes)
    const result = await outbox.submit({ id: randomId(), rollCallId, envelope, frames: bytes })
    if (result.state === 'refused') fail(result.error)
  }

  /** Stop the burst and get ready again. */
  function cancel(): void {
    abort?.abort(new DOMException('cancelled', 'AbortError'))
    phase.value = 'ready'
  }

  function release(): void {
    abort?.abort(new DOMException('left', 'AbortError'))
    if (stream.value) closeCamera(stream.value)
    stream.value = undefined
  }
  onScopeDispose(release)

  return {
    phase,
    problem,
    stream,
    challenge,
    plan,
    action,
    framesTaken,
    cannot,
    isCalm,
    position,
    open,
    start,
    cancel,
    fail,
    change,
  }
}
