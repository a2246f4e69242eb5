export {
  CameraProblem,
  type CameraFailure,
  closeCamera,
  type Frame,
  type FrameLimits,
  openCamera,
  sha256Hex,
  showCamera,
  takeFrame,
} from './camera.ts'
export { ServerClock } from './clock.ts'
export { type CheckIn, type FrameDigest, signEnvelope } from './envelope.ts'
export { deleteKey, ensureKey, keepStorage, loadKey, publicJwk, thumbprint } from './key.ts'
export {
  addToOutbox,
  loadOutbox,
  loadReceipts,
  type OutboxItem,
  type OutboxResult,
  type OutboxTransport,
  type Receipt,
  removeFromOutbox,
  retryDelayMs,
  sendItem,
  type StoredReceipt,
} from './outbox.ts'
export {
  accuracyBand,
  type AccuracyBand,
  type Fix,
  PositionProblem,
  type PositionFailure,
  samplePositions,
  type SamplingRules,
  takeFix,
} from './position.ts'
export { type ProofClaims, randomId, signProof } from './proof.ts'
export { DeviceSession, type SessionEvents } from './session.ts'
export { StorageRefused } from './store.ts'
