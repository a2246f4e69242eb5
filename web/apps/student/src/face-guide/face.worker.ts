import * as faceapi from '@vladmandic/face-api/dist/face-api.esm.js'
import landmarkWeights from '@vladmandic/face-api/model/face_landmark_68_tiny_model.bin?url'
import landmarkManifest from '@vladmandic/face-api/model/face_landmark_68_tiny_model-weights_manifest.json'
import detectorWeights from '@vladmandic/face-api/model/tiny_face_detector_model.bin?url'
import detectorManifest from '@vladmandic/face-api/model/tiny_face_detector_model-weights_manifest.json'

import { type FaceGeometry, measureFace } from './geometry.ts'

/** A picture from the page. */
export interface FaceRequest {
  pixels: ArrayBuffer
  width: number
  height: number
}
/** The answer; first of all `{ ready: true }` once. Without `face`, no face was found. */
export interface FaceAnswer {
  ready?: boolean
  face?: FaceGeometry
}

type Manifest = readonly { weights: unknown }[]

const { tf, nets } = faceapi
const scope = self as unknown as DedicatedWorkerGlobalScope
/** The detector sees the picture with this side: smaller is faster, and finds only faces that are near. */
const INPUT_SIDE = 192
const MIN_SCORE = 0.3

function Absent(): void {}

async function loadWeights(url: string, manifest: Manifest) {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
  return tf.io.decodeWeights(await answer.arrayBuffer(), manifest[0]?.weights)
}

async function prepare(): Promise<void> {
  // A worker has no elements. The library gets tensors only, and needs no more than classes of which nothing is one.
  faceapi.env.setEnv({ Canvas: Absent, Image: Absent, ImageData: Absent, Video: Absent, fetch })
  await tf.setBackend('cpu') // plain JavaScript: WebAssembly would need a wider content security policy
  await tf.ready()
  nets.tinyFaceDetector.loadFromWeightMap(await loadWeights(detectorWeights, detectorManifest))
  nets.faceLandmark68TinyNet.loadFromWeightMap(await loadWeights(landmarkWeights, landmarkManifest))
}

async function find({ pixels, width, height }: FaceRequest): Promise<FaceGeometry | undefined> {
  const rgba = tf.tensor3d(new Uint8Array(pixels), [height, width, 4], 'int32')
  const picture = tf.slice3d(rgba, [0, 0, 0], [height, width, 3])
  try {
    const options = new faceapi.TinyFaceDetectorOptions({ inputSize: INPUT_SIDE, scoreThreshold: MIN_SCORE })
    const found = await faceapi.detectSingleFace(picture, options).withFaceLandmarks(true)
    if (!found) return undefined
    return measureFace(found.detection.box, found.landmarks.positions, { width, height })
  } finally {
    tf.dispose([rgba, picture])
  }
}

/** Throw outside of the promise, so that the page receives an `error` event and goes on without the helper. */
function fail(error: unknown): void {
  setTimeout(() => {
    throw error
  })
}

const prepared = prepare()
prepared.then(() => scope.postMessage({ ready: true } satisfies FaceAnswer)).catch(fail)
scope.addEventListener('message', (event: MessageEvent<FaceRequest>) => {
  prepared
    .then(() => find(event.data))
    .then((face) => scope.postMessage((face ? { face } : {}) satisfies FaceAnswer))
    .catch(fail)
})
