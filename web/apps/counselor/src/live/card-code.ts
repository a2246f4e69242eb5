/** Digits of the code on a student's card. */
export const CODE_DIGITS = 8

/** The code in the text of a scanned card: the only run of exactly eight digits. Undefined without one, or with several. */
export function findCardCode(text: string): string | undefined {
  const found = text.match(/\d+/g)?.filter((run) => run.length === CODE_DIGITS) ?? []
  return found.length === 1 ? found[0] : undefined
}

/** What a person typed, as a code: digits only, full-width ones too. */
export function normaliseCode(typed: string): string {
  return typed.normalize('NFKC').replace(/\D/g, '').slice(0, CODE_DIGITS)
}

/** The picture of a camera, read for a code about so often. */
const EVERY_MS = 150
/** A larger picture does not read better and takes longer. */
const MAX_SIDE = 800

/** Look for a card code in a running video until the signal ends it. The reader of codes is loaded when it is first needed. */
export async function scanCard(video: HTMLVideoElement, signal: AbortSignal): Promise<string | undefined> {
  const { default: readQr } = await import('jsqr')
  const canvas = document.createElement('canvas')
  const context = canvas.getContext('2d', { willReadFrequently: true })
  while (context && !signal.aborted) {
    const scale = Math.min(1, MAX_SIDE / Math.max(video.videoWidth, video.videoHeight, 1))
    const width = Math.floor(video.videoWidth * scale)
    const height = Math.floor(video.videoHeight * scale)
    if (width > 0 && height > 0) {
      canvas.width = width
      canvas.height = height
      context.drawImage(video, 0, 0, width, height)
      const read = readQr(context.getImageData(0, 0, width, height).data, width, height)
      const code = read ? findCardCode(read.data) : undefined
      if (code) return code
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
  return undefined
}
