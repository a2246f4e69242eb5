import type { Missing } from './missing.ts'

/** What stopped a student, in groups that tell the counselor what to do. The words are in `words/`: `reason.<group>`. */
export type ReasonGroup = keyof typeof CODES

/** Codes of verdicts and refusals by group; `docs/errors.md` and the reasons of the roll call list them. */
const CODES = {
  outside: ['outside_site'],
  position: [
    'location_uncertain',
    'near_edge',
    'accuracy_coarse',
    'site_small_for_accuracy',
    'stale_fix_left_out',
    'fix_incomplete',
    'fix_refused',
    'fixes_too_few',
  ],
  positionDoubtful: ['location_doubtful'],
  siteNotFiled: ['site_not_filed'],
  picture: [
    'face_unusable',
    'no_face',
    'face_too_small',
    'blurred',
    'too_dark',
    'too_bright',
    'saturated',
    'tilted',
    'turned',
    'too_few_frames',
    'no_dominant_face',
    'face_jumped',
    'screen_light_missing',
  ],
  others: ['second_face', 'different_people', 'nearer_classmate'],
  actions: [
    'challenge_unanswered',
    'answer_too_slow',
    'actions_out_of_order',
    'unasked_action',
    'turn_without_depth',
    'eyes_not_closed',
    'mouth_not_opened',
    'head_not_turned_left',
    'head_not_turned_right',
    'action_before_cue',
    'action_after_cue',
    'actions_not_measurable',
  ],
  presence: [
    'presence_doubtful',
    'frame_reused',
    'picture_seen_before',
    'shot_repeated',
    'identical_frames',
    'frame_times_missing',
    'frame_times_implausible',
    'face_unchanged',
    'like_earlier_picture',
    'like_earlier_selfie',
    'like_enrolment',
  ],
  faceUnsure: ['face_unsure', 'rehearsal_face_unproven'],
  faceMismatch: ['face_mismatch', 'look_not_confirmed', 'look_not_upheld'],
  look: ['face_needs_look'],
  lookImpossible: ['look_without_portrait', 'look_without_consent', 'look_not_possible'],
  attempts: ['face_attempts_exhausted', 'step_ups_exhausted', 'challenges_exhausted', 'too_many_attempts'],
  cannotAct: ['challenge_actions_too_few'],
  nonFace: ['non_face_route_recorded', 'non_face_route_unattended'],
  newPhone: ['device_rebound_recently'],
  activation: ['activation_incomplete'],
  upload: ['frames_missing', 'nonce_expired', 'nonce_unknown', 'nonce_used', 'window_not_open'],
  app: ['envelope_malformed', 'envelope_signature_invalid', 'envelope_too_large', 'envelope_wrong_roll_call'],
  late: ['window_closed', 'frames_too_late'],
  system: ['verification_unavailable', 'not_announced'],
  checking: ['verification_pending'],
  notUpheld: ['attestation_not_upheld'],
  nothing: ['no_check_in'],
} as const

const GROUPS = new Map<string, ReasonGroup>(
  Object.entries(CODES).flatMap(([group, codes]) =>
    codes.map((code) => [code, group as ReasonGroup] as const),
  ),
)

/** The group of a code; undefined for one that is newer than this page. */
export function reasonGroup(code: string): ReasonGroup | undefined {
  return GROUPS.get(code) ?? (code.startsWith('image_') ? 'picture' : undefined)
}

/** What to say of a student's last attempt. A refusal that sent the student to the counselor says more than the verdict before. */
export function lastCode(
  row: Pick<Missing, 'last_reasons' | 'last_refusal' | 'sent_to_a_person' | 'submissions'>,
): string {
  const [first] = row.last_reasons
  if (row.last_refusal !== null && (row.sent_to_a_person || first === undefined)) return row.last_refusal
  return first ?? (row.submissions > 0 ? 'verification_pending' : 'no_check_in')
}
