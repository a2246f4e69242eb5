import { afterEach, describe, expect, it, vi } from 'vitest'

import { fitPixels, openCamera, sha256Hex, takeFrame } from '../src/camera.ts'

afterEach(() => vi.unstubAllGlobals())

describe('opening the camera', () => {
  it.each([
    ['NotAllowedError', 'refused'],
    ['NotFoundError', 'missing'],
    ['NotReadableError', 'busy'],
  ])('tells %s as %s', async (name, failure) => {
    const getUserMedia = vi.fn().mockRejectedValue(new DOMException('no', name))
    vi.stubGlobal('navigator', { mediaDevices: { getUserMedia } })
    await expect(openCamera()).rejects.toMatchObject({ failure })
  })

  it('is unsupported without a secure context', async () => {
    vi.stubGlobal('navigator', {})
    await expect(openCamera()).rejects.toMatchObject({ failure: 'unsupported' })
  })
})

describe('a frame', () => {
  const video = { videoWidth: 1280, videoHeight: 720 } as HTMLVideoElement

  function canvas(sizes: number[]) {
    const drawImage = vi.fn()
    const made = {
      getContext: () => ({ drawImage }),
      toBlob: (done: BlobCallback) => done(new Blob([new Uint8Array(sizes.shift() ?? 0)])),
    }
    vi.spyOn(document, 'createElement').mockReturnValue(made as unknown as HTMLCanvasElement)
    return drawImage
  }

  it('is compressed until it is small enough, and named by its hash', async () => {
    const drawImage = canvas([900, 500])
    const frame = await takeFrame(video, { maxPixels: 640 * 360, maxBytes: 600 }, performance.now())
    expect(drawImage).toHaveBeenCalledWith(video, 0, 0, 640, 360)
    expect(frame).toMatchObject({ size: 500, sha256: await sha256Hex(frame.bytes) })
    expect(frame.at_ms).toBeLessThan(1000)
  })

  it('is refused if no quality is small enough', async () => {
    canvas([900, 800, 700])
    await expect(takeFrame(video, { maxPixels: 1e6, maxBytes: 600 }, 0)).rejects.toMatchObject({
      failure: 'busy',
    })
  })
})

it('keeps the shape of a smaller picture', () => {
  expect(fitPixels(640, 480, 1e6)).toEqual({ width: 640, height: 480 })
  expect(fitPixels(1920, 1080, 230_400)).toEqual({ width: 640, height: 360 })
})

it('hashes as the envelope names it', async () => {
  const bytes = new TextEncoder().encode('abc').buffer
  expect(await sha256Hex(bytes)).toMatch(/^ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad$/)
})
