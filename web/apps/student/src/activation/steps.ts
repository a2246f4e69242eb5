/** The page of each activation step. */
export const STEP_PAGES: Readonly<Record<string, string>> = {
  account: 'welcome',
  record_check: 'record',
  location_consent: 'consents',
  face: 'face',
  portrait: 'portrait',
}

export const STEPS = ['account', 'record_check', 'location_consent', 'face', 'portrait'] as const

/** The kinds of consent without which no face may be enrolled. */
export const FACE_CONSENTS: readonly string[] = ['face_use', 'face_template_storage']
