import { onBeforeUnmount, onMounted, type Ref } from 'vue'

import { hintOf, measureVideo, type PictureHint, type PictureMeasure } from '../check-in/hints.ts'
import { type FaceGuide, type FaceState, startFaceGuide } from './face-guide.ts'
import { type FaceHint, faceHint, type Pose } from './geometry.ts'

export type CameraHint = PictureHint | FaceHint

const LOOK_EVERY_MS = 500
/** The detector misses a face now and then, so only this many looks without a face in a row count. */
const LOOKS_WITHOUT_FACE = 2

/** Look at the video several times a second while the component is shown, and report what the student may change. */
export function useHints(
  video: Readonly<Ref<HTMLVideoElement | null>>,
  pose: () => Pose,
  report: (hint: CameraHint | undefined) => void,
): void {
  let guide: FaceGuide | undefined
  let timer: ReturnType<typeof setInterval> | undefined
  let measure: PictureMeasure | undefined
  let face: FaceState
  let missed = 0

  function look(): void {
    if (!video.value) return
    measure = measureVideo(video.value)
    guide?.look(video.value)
    if (measure) report(chooseHint(hintOf(measure), face, pose()))
  }

  function note(found: FaceState): void {
    missed = found === 'none' ? missed + 1 : 0
    if (missed === 0 || missed >= LOOKS_WITHOUT_FACE) face = found
    if (measure) report(chooseHint(hintOf(measure), face, pose()))
  }

  onMounted(() => {
    guide = startFaceGuide(note)
    timer = setInterval(look, LOOK_EVERY_MS)
  })
  onBeforeUnmount(() => {
    clearInterval(timer)
    measure = undefined
    guide?.close()
  })
}

/** Light comes first, because no face is found without it; sharpness last, because a face that is far away looks blurred. */
export function chooseHint(
  picture: PictureHint | undefined,
  face: FaceState,
  pose: Pose,
): CameraHint | undefined {
  if (face === undefined || picture === 'dark' || picture === 'bright') return picture
  return faceHint(face === 'none' ? undefined : face, pose) ?? picture
}
