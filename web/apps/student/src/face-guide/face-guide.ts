import type { FaceAnswer, FaceRequest } from './face.worker.ts'
import type { FaceGeometry } from './geometry.ts'

/** Looks for the face in a video, in a worker. It helps only: without it everything works, and the server alone judges. */
export interface FaceGuide {
  /** Look at what the video shows now, unless the last look goes on or the helper is not ready. */
  look(video: HTMLVideoElement): void
  close(): void
}

/** What is known about the face: where it is, that there is none, or nothing, because the helper does not look. */
export type FaceState = FaceGeometry | 'none' | undefined
export type OnFace = (face: FaceState) => void

/** The shorter side of the picture that the worker gets, and the longest shape of it: about what the preview shows. */
const SIDE = 240
const LONGEST = 4 / 3
/** On a phone where looks take longer, hints would come too late and the battery would suffer. The first look may. */
const SLOWEST_LOOK_MS = 2500
const MAX_SLOW_LOOKS = 2

interface Network {
  saveData?: boolean
  effectiveType?: string
}

/** Whether the helper may be loaded: about 0.6 MB once, which a slow or metered network needs for the check-in itself. */
export function mayLoad(network: Network | undefined): boolean {
  return network?.saveData !== true && !/2g$/.test(network?.effectiveType ?? '')
}

/** Start the helper. On a slow network or in an old browser it never looks. */
export function startFaceGuide(onFace: OnFace): FaceGuide {
  const network = (navigator as { connection?: Network }).connection
  const none: FaceGuide = { look: () => undefined, close: () => undefined }
  if (!mayLoad(network) || typeof Worker === 'undefined') return none
  try {
    return new WorkerGuide(onFace, createWorker())
  } catch {
    return none
  }
}

/** The worker is no part of the first load; it is fetched when a camera opens. */
function createWorker(): Worker {
  return new Worker(new URL('./face.worker.ts', import.meta.url), { type: 'module' })
}

/** Asks one worker, one picture at a time. */
export class WorkerGuide implements FaceGuide {
  private isFree = false
  private askedAtMs = 0
  private slowLooks = 0
  private readonly canvas = document.createElement('canvas')

  constructor(
    private readonly onFace: OnFace,
    private readonly worker: Worker,
  ) {
    worker.addEventListener('message', (event: MessageEvent<FaceAnswer>) => this.receive(event.data))
    worker.addEventListener('error', (event) => {
      event.preventDefault()
      this.close()
    })
  }

  look(video: HTMLVideoElement): void {
    const [videoWidth, videoHeight] = [video.videoWidth, video.videoHeight]
    const shorter = Math.min(videoWidth, videoHeight)
    if (!this.isFree || shorter === 0) return
    const [cutWidth, cutHeight] = [videoWidth, videoHeight].map((side) =>
      Math.min(side, shorter * LONGEST),
    ) as [number, number]
    const scale = SIDE / shorter
    const [width, height] = [Math.round(cutWidth * scale), Math.round(cutHeight * scale)]
    this.canvas.width = width
    this.canvas.height = height
    const context = this.canvas.getContext('2d', { willReadFrequently: true })
    if (!context) return
    const [left, top] = [(videoWidth - cutWidth) / 2, (videoHeight - cutHeight) / 2]
    context.drawImage(video, left, top, cutWidth, cutHeight, 0, 0, width, height)
    const pixels = context.getImageData(0, 0, width, height).data.buffer as ArrayBuffer
    this.isFree = false
    this.askedAtMs = performance.now()
    this.worker.postMessage({ pixels, width, height } satisfies FaceRequest, [pixels])
  }

  close(): void {
    this.isFree = false
    this.worker.terminate()
    this.onFace(undefined)
  }

  private receive({ ready, face }: FaceAnswer): void {
    if (!ready && performance.now() - this.askedAtMs > SLOWEST_LOOK_MS) this.slowLooks += 1
    if (this.slowLooks >= MAX_SLOW_LOOKS) return this.close()
    this.isFree = true
    if (!ready) this.onFace(face ?? 'none')
  }
}
