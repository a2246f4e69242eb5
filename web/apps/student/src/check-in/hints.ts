/** What may be wrong with the picture. Only a hint for the student: the server judges. */
export type PictureHint = 'dark' | 'bright' | 'blurred'

/** Mean brightness (0–255) and sharpness (variance of the Laplacian) of the middle of a picture. */
export interface PictureMeasure {
  brightness: number
  sharpness: number
}

const DARK = 55
const BRIGHT = 215
const BLURRED = 12

export function hintOf({ brightness, sharpness }: PictureMeasure): PictureHint | undefined {
  if (brightness < DARK) return 'dark'
  if (brightness > BRIGHT) return 'bright'
  return sharpness < BLURRED ? 'blurred' : undefined
}

/** Measure RGBA pixels. */
export function measurePixels(pixels: Uint8ClampedArray, width: number, height: number): PictureMeasure {
  const luma = new Float32Array(width * height)
  let sum = 0
  for (let n = 0; n < luma.length; n += 1) {
    const at = 4 * n
    luma[n] = 0.299 * (pixels[at] ?? 0) + 0.587 * (pixels[at + 1] ?? 0) + 0.114 * (pixels[at + 2] ?? 0)
    sum += luma[n] as number
  }
  return { brightness: sum / luma.length, sharpness: laplacianVariance(luma, width, height) }
}

function laplacianVariance(luma: Float32Array, width: number, height: number): number {
  let count = 0
  let sum = 0
  let squares = 0
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) {
      const n = y * width + x
      const around = pixel(luma, n - 1) + pixel(luma, n + 1) + pixel(luma, n - width) + pixel(luma, n + width)
      const value = 4 * pixel(luma, n) - around
      count += 1
      sum += value
      squares += value * value
    }
  }
  return count === 0 ? 0 : squares / count - (sum / count) ** 2
}

function pixel(luma: Float32Array, n: number): number {
  return luma[n] ?? 0
}

const SIDE = 96

/** Measure the middle of what a video shows now. */
export function measureVideo(video: HTMLVideoElement): PictureMeasure | undefined {
  const side = Math.min(video.videoWidth, video.videoHeight)
  if (side === 0) return undefined
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = SIDE
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (!context) return undefined
  const [left, top] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2]
  context.drawImage(video, left, top, side, side, 0, 0, SIDE, SIDE)
  return measurePixels(context.getImageData(0, 0, SIDE, SIDE).data, SIDE, SIDE)
}
