import type { FrameDigest } from './envelope.ts'

/** Why there is no picture. */
export type CameraFailure = 'refused' | 'missing' | 'busy' | 'unsupported'

export class CameraProblem extends Error {
  override readonly name = 'CameraProblem'
  constructor(
    readonly failure: CameraFailure,
    cause?: unknown,
  ) {
    super(`no camera: ${failure}`, { cause })
  }
}

const FAILURES: Readonly<Record<string, CameraFailure>> = {
  NotAllowedError: 'refused',
  SecurityError: 'refused',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'busy',
  AbortError: 'busy',
}

/** A picture with its digest, as the envelope names it. */
export interface Frame extends FrameDigest {
  bytes: ArrayBuffer
}

/** Limits of one picture. */
export interface FrameLimits {
  maxPixels: number
  maxBytes: number
}

const QUALITIES = [0.85, 0.7, 0.5]

/** Open the front camera (`user`), or the one at the back (`environment`). Rejects with `CameraProblem`. */
export async function openCamera(facingMode: 'user' | 'environment' = 'user'): Promise<MediaStream> {
  const devices = (navigator as { mediaDevices?: MediaDevices }).mediaDevices
  if (!devices) throw new CameraProblem('unsupported')
  const video = { facingMode, width: { ideal: 1280 }, height: { ideal: 720 } }
  try {
    return await devices.getUserMedia({ audio: false, video })
  } catch (error) {
    throw new CameraProblem(FAILURES[(error as DOMException).name] ?? 'busy', error)
  }
}

/** Show a stream in a video element. `playsinline` and `muted` are required by browsers on iOS. */
export async function showCamera(video: HTMLVideoElement, stream: MediaStream): Promise<void> {
  video.muted = true
  video.playsInline = true
  video.srcObject = stream
  await video.play()
}

/** Stop the camera. */
export function closeCamera(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop()
}

/** Take a picture as the camera sees it: not mirrored, whatever the preview shows. */
export async function takeFrame(
  video: HTMLVideoElement,
  limits: FrameLimits,
  burstStartedAtMs: number,
): Promise<Frame> {
  const atMs = Math.max(0, Math.round(performance.now() - burstStartedAtMs))
  const { width, height } = fitPixels(video.videoWidth, video.videoHeight, limits.maxPixels)
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d')
  if (!context || width === 0) throw new CameraProblem('busy')
  context.drawImage(video, 0, 0, width, height)
  for (const quality of QUALITIES) {
    const bytes = await encode(canvas, quality)
    if (bytes.byteLength <= limits.maxBytes) {
      return { bytes, sha256: await sha256Hex(bytes), size: bytes.byteLength, at_ms: atMs }
    }
  }
  throw new CameraProblem('busy')
}

/** The largest size of the same shape with at most `maxPixels`. */
export function fitPixels(
  width: number,
  height: number,
  maxPixels: number,
): { width: number; height: number } {
  const scale = Math.min(1, Math.sqrt(maxPixels / (width * height)))
  return { width: Math.floor(width * scale), height: Math.floor(height * scale) }
}

async function encode(canvas: HTMLCanvasElement, quality: number): Promise<ArrayBuffer> {
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', quality))
  if (!blob) throw new CameraProblem('busy')
  return blob.arrayBuffer()
}

/** Hex SHA-256. */
export async function sha256Hex(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
