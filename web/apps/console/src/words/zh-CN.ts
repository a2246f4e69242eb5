import { registrationZh } from './zh/registration.ts'
import { lawZh } from './zh/law.ts'
import { accountsZh } from './zh/accounts.ts'
import { aidZh } from './zh/aid.ts'
import { casesZh } from './zh/cases.ts'
import { reviewsZh } from './zh/reviews.ts'
import { classesZh } from './zh/classes.ts'
import { rollCallsZh } from './zh/roll-calls.ts'
import { runningZh } from './zh/running.ts'
import { shellZh } from './zh/shell.ts'
import { sitesZh } from './zh/sites.ts'
import { studentsZh } from './zh/students.ts'

export const zhCN = {
  ...lawZh,
  ...registrationZh,
  ...accountsZh,
  ...aidZh,
  ...casesZh,
  ...classesZh,
  ...runningZh,
  ...shellZh,
  ...rollCallsZh,
  ...reviewsZh,
  ...sitesZh,
  ...studentsZh,
}
