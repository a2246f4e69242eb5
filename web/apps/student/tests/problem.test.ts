import { ApiError, clientError } from '@dianming/api'
import { CameraProblem, PositionProblem, StorageRefused } from '@dianming/device'
import { expect, it } from 'vitest'

import { CameraFrozen } from '../src/check-in/burst.ts'
import { describeProblem } from '../src/check-in/problem.ts'
import { isWeChat } from '../src/check-in/wechat.ts'

const api = (code: string, status = 409) => new ApiError({ code, status, sentences: { zh: '', en: '' } })

it.each([
  [new CameraProblem('refused'), 'cameraRefused', 'retry'],
  [new CameraProblem('missing'), 'cameraMissing', 'person'],
  [new CameraProblem('busy'), 'cameraBusy', 'retry'],
  [new CameraFrozen(), 'cameraFrozen', 'retry'],
  [new PositionProblem('refused'), 'positionRefused', 'retry'],
  [new PositionProblem('timeout'), 'positionTimeout', 'retry'],
  [new StorageRefused('no'), 'storage', 'reload'],
  [clientError('network_unreachable'), 'offline', 'retry'],
  [api('proof_clock_wrong', 401), 'clock', 'retry'],
  [api('key_revoked', 401), 'keyLost', 'register'],
  [api('step_ups_exhausted'), 'api', 'person'],
  [api('activation_incomplete'), 'api', 'activate'],
  [api('window_closed'), 'api', 'home'],
  [api('nonce_expired'), 'api', 'retry'],
  [new TypeError('bug'), 'unexpected', 'reload'],
])('finds the screen and the next step for %s', (error, kind, next) => {
  expect(describeProblem(error)).toMatchObject({ kind, next })
})

it('recognises the browser of WeChat', () => {
  expect(isWeChat('Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0.49')).toBe(true)
  expect(isWeChat('Mozilla/5.0 (iPhone) Safari/604.1')).toBe(false)
})
