import { ApiError } from '@dianming/api'
import { CameraProblem, PositionProblem, StorageRefused } from '@dianming/device'

import { CameraFrozen } from './burst.ts'

/** What is missing. Each kind has its own screen. */
export type ProblemKind =
  | 'cameraRefused'
  | 'cameraMissing'
  | 'cameraBusy'
  | 'cameraUnsupported'
  | 'cameraFrozen'
  | 'positionRefused'
  | 'positionTimeout'
  | 'positionUnavailable'
  | 'positionUnsupported'
  | 'storage'
  | 'offline'
  | 'clock'
  | 'keyLost'
  | 'api'
  | 'unexpected'

/** What the student does next. `person`: only the counselor can help; `none`: nothing to do. */
export type NextStep = 'retry' | 'reload' | 'person' | 'register' | 'activate' | 'home'

export interface DescribedProblem {
  kind: ProblemKind
  next: NextStep
  /** Whether the way to permit it is shown, for each system. */
  howTo?: 'camera' | 'position'
}

const CAMERA = {
  refused: { kind: 'cameraRefused', next: 'retry', howTo: 'camera' },
  missing: { kind: 'cameraMissing', next: 'person' },
  busy: { kind: 'cameraBusy', next: 'retry' },
  unsupported: { kind: 'cameraUnsupported', next: 'person' },
} as const

const POSITION = {
  refused: { kind: 'positionRefused', next: 'retry', howTo: 'position' },
  timeout: { kind: 'positionTimeout', next: 'retry' },
  unavailable: { kind: 'positionUnavailable', next: 'retry' },
  unsupported: { kind: 'positionUnsupported', next: 'person' },
} as const

/** Refusals after which no further attempt on the phone is possible. */
const SEE_COUNSELOR = new Set([
  'face_attempts_exhausted',
  'step_ups_exhausted',
  'challenges_exhausted',
  'challenge_actions_too_few',
  'look_not_possible',
  'look_not_confirmed',
  'non_face_route_recorded',
  'device_rebound_recently',
])
const NOTHING_TO_DO = new Set([
  'window_closed',
  'window_not_open',
  'roll_call_voided',
  'not_asked',
  'already_present',
])
const KEY_LOST = new Set(['key_revoked', 'phone_replaced'])

/** Find the screen for an error. */
export function describeProblem(error: unknown): DescribedProblem {
  if (error instanceof CameraProblem) return CAMERA[error.failure]
  if (error instanceof PositionProblem) return POSITION[error.failure]
  if (error instanceof CameraFrozen) return { kind: 'cameraFrozen', next: 'retry' }
  if (error instanceof StorageRefused) return { kind: 'storage', next: 'reload' }
  if (!(error instanceof ApiError)) return { kind: 'unexpected', next: 'reload' }
  if (error.code === 'network_unreachable') return { kind: 'offline', next: 'retry' }
  if (error.code === 'proof_clock_wrong') return { kind: 'clock', next: 'retry' }
  if (KEY_LOST.has(error.code)) return { kind: 'keyLost', next: 'register' }
  if (error.code === 'activation_incomplete') return { kind: 'api', next: 'activate' }
  if (SEE_COUNSELOR.has(error.code)) return { kind: 'api', next: 'person' }
  return { kind: 'api', next: NOTHING_TO_DO.has(error.code) ? 'home' : 'retry' }
}
