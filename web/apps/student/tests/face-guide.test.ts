import { expect, it, vi } from 'vitest'

import { WorkerGuide } from '../src/face-guide/face-guide.ts'
import type { FaceGeometry } from '../src/face-guide/geometry.ts'

const FACE: FaceGeometry = { width: 0.5, asideX: 0, asideY: 0, turn: 0 }

/** A worker whose answers the test sends. */
class Helper extends EventTarget {
  readonly asked = vi.fn()
  readonly terminate = vi.fn()
  postMessage = this.asked
  answer(data: object) {
    this.dispatchEvent(new MessageEvent('message', { data }))
  }
}

function start() {
  const helper = new Helper()
  const onFace = vi.fn()
  const guide = new WorkerGuide(onFace, helper as unknown as Worker)
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue({
    drawImage: () => undefined,
    getImageData: () => ({ data: new Uint8ClampedArray(4) }),
  } as never)
  const video = { videoWidth: 720, videoHeight: 1280 } as HTMLVideoElement
  return { helper, onFace, guide, video }
}

it('asks only once the helper is ready, and one picture at a time', () => {
  const { helper, guide, video, onFace } = start()
  guide.look(video)
  expect(helper.asked).not.toHaveBeenCalled()
  helper.answer({ ready: true })
  guide.look(video)
  guide.look(video)
  expect(helper.asked).toHaveBeenCalledOnce()
  expect(helper.asked.mock.calls[0]?.[0]).toMatchObject({ width: 240, height: 320 })
  helper.answer({ face: FACE })
  expect(onFace).toHaveBeenLastCalledWith(FACE)
  guide.look(video)
  helper.answer({})
  expect(onFace).toHaveBeenLastCalledWith('none')
})

it('knows nothing more after the helper failed', () => {
  const { helper, guide, video, onFace } = start()
  helper.answer({ ready: true })
  helper.dispatchEvent(new Event('error', { cancelable: true }))
  guide.look(video)
  expect(helper.asked).not.toHaveBeenCalled()
  expect(onFace).toHaveBeenLastCalledWith(undefined)
})

it('stops on a phone where two looks take too long', () => {
  const { helper, guide, video, onFace } = start()
  const now = vi.spyOn(performance, 'now')
  helper.answer({ ready: true })
  for (let n = 0; n < 2; n += 1) {
    now.mockReturnValue(10_000 * n)
    guide.look(video)
    now.mockReturnValue(10_000 * n + 3000)
    helper.answer({ face: FACE })
  }
  expect(helper.terminate).toHaveBeenCalled()
  expect(onFace).toHaveBeenLastCalledWith(undefined)
})
