/** The parts of the library that the worker uses. Its own types describe all of TensorFlow.js, and know no worker. */
declare module '@vladmandic/face-api/dist/face-api.esm.js' {
  type Tensor = object
  interface Net {
    loadFromWeightMap(weights: object): void
  }
  interface Detection {
    detection: { box: { x: number; y: number; width: number; height: number } }
    landmarks: { positions: { x: number; y: number }[] }
  }
  export const env: { setEnv(environment: object): void }
  export const nets: { tinyFaceDetector: Net; faceLandmark68TinyNet: Net }
  export const tf: {
    setBackend(name: string): Promise<boolean>
    ready(): Promise<void>
    io: { decodeWeights(bytes: ArrayBuffer, specs: unknown): object }
    tensor3d(values: Uint8Array, shape: number[], type: string): Tensor
    slice3d(tensor: Tensor, begin: number[], size: number[]): Tensor
    dispose(tensors: Tensor[]): void
  }
  type Options = object
  export const TinyFaceDetectorOptions: new (options: {
    inputSize: number
    scoreThreshold: number
  }) => Options
  export function detectSingleFace(
    input: Tensor,
    options: Options,
  ): { withFaceLandmarks(useTiny: boolean): Promise<Detection | undefined> }
}
