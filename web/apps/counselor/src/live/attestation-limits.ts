import type { StaffSchemas } from '@dianming/api/staff'

export type Limit = StaffSchemas['AttestationLimitOut']

/** What binds an attestation in a class: the limit of the class or that of the counselor, whichever has less left. */
export function limitFor(
  limits: StaffSchemas['AttestationLimitsOut'],
  classId: string,
): { whose: 'class' | 'own'; limit: number; used: number; left: number } | undefined {
  const ofClass = limits.classes.find((each) => each.class_id === classId)
  const { own } = limits
  const pick = (whose: 'class' | 'own', { limit, used, left }: Limit) => ({ whose, limit, used, left })
  if (own && (!ofClass || own.left < ofClass.left)) return pick('own', own)
  return ofClass ? pick('class', ofClass) : undefined
}
