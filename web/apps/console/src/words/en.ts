import { registrationEn } from './en/registration.ts'
import { lawEn } from './en/law.ts'
import { accountsEn } from './en/accounts.ts'
import { aidEn } from './en/aid.ts'
import { casesEn } from './en/cases.ts'
import { reviewsEn } from './en/reviews.ts'
import { classesEn } from './en/classes.ts'
import { rollCallsEn } from './en/roll-calls.ts'
import { runningEn } from './en/running.ts'
import { shellEn } from './en/shell.ts'
import { sitesEn } from './en/sites.ts'
import { studentsEn } from './en/students.ts'

export const en = {
  ...lawEn,
  ...registrationEn,
  ...accountsEn,
  ...aidEn,
  ...casesEn,
  ...classesEn,
  ...runningEn,
  ...shellEn,
  ...rollCallsEn,
  ...reviewsEn,
  ...sitesEn,
  ...studentsEn,
}
