/** Where a face is and how it is turned. Lengths are shares of the shorter side of the picture. */
export interface FaceGeometry {
  width: number
  /** Distance of the face's middle from the middle of the oval. */
  asideX: number
  asideY: number
  /** Offset of the nose from the middle of the eyes along their axis, in eye distances. Positive: turned to the person's left. */
  turn: number
}

/** What the student is asked to do with the head. */
export type Pose = 'straight' | 'slightly_left' | 'slightly_right' | 'left' | 'right'

/** What the student may change. Only a hint: the server judges the pictures. */
export type FaceHint = 'noFace' | 'far' | 'near' | 'aside' | 'straight' | 'moreLeft' | 'moreRight' | 'tooFar'

export interface Point {
  x: number
  y: number
}

/** The shape of the oval in `CameraView`: the middle of the picture, slightly above it. */
const OVAL_Y = 0.45
const FAR = 0.36
const NEAR = 0.85
const ASIDE_X = 0.22
const ASIDE_Y = 0.3
const STRAIGHT_TURN = 0.15

/** Least and greatest turn of a pose, in eye distances. The server permits 0.25 for the enrolment, and 0.6 for a turn. */
const TURNS = { slightly: [0.06, 0.24], full: [0.18, 0.6] } as const

/** Measure a face from its box and its 68 landmarks, all in pixels. */
export function measureFace(
  box: { x: number; y: number; width: number; height: number },
  landmarks: readonly Point[],
  picture: { width: number; height: number },
): FaceGeometry {
  const side = Math.min(picture.width, picture.height)
  const [right, left, nose] = [
    middle(landmarks, 36, 42),
    middle(landmarks, 42, 48),
    middle(landmarks, 30, 31),
  ]
  const axis = { x: left.x - right.x, y: left.y - right.y }
  const between = { x: (left.x + right.x) / 2, y: (left.y + right.y) / 2 }
  const squared = Math.max(1, axis.x ** 2 + axis.y ** 2)
  return {
    width: box.width / side,
    asideX: (box.x + box.width / 2 - picture.width / 2) / side,
    asideY: (box.y + box.height / 2 - picture.height * OVAL_Y) / side,
    turn: ((nose.x - between.x) * axis.x + (nose.y - between.y) * axis.y) / squared,
  }
}

/** The most useful hint for a pose, or undefined if the face fits. */
export function faceHint(face: FaceGeometry | undefined, pose: Pose): FaceHint | undefined {
  if (!face) return 'noFace'
  if (face.width < FAR) return 'far'
  if (face.width > NEAR) return 'near'
  if (Math.abs(face.asideX) > ASIDE_X || Math.abs(face.asideY) > ASIDE_Y) return 'aside'
  return turnHint(face.turn, pose)
}

function turnHint(turn: number, pose: Pose): FaceHint | undefined {
  if (pose === 'straight') return Math.abs(turn) > STRAIGHT_TURN ? 'straight' : undefined
  const toLeft = pose === 'left' || pose === 'slightly_left'
  const [least, most] = pose === 'left' || pose === 'right' ? TURNS.full : TURNS.slightly
  const turned = toLeft ? turn : -turn
  if (turned < least) return toLeft ? 'moreLeft' : 'moreRight'
  return turned > most ? 'tooFar' : undefined
}

function middle(points: readonly Point[], from: number, until: number): Point {
  const chosen = points.slice(from, until)
  const sum = chosen.reduce((total, { x, y }) => ({ x: total.x + x, y: total.y + y }), { x: 0, y: 0 })
  return { x: sum.x / chosen.length, y: sum.y / chosen.length }
}
