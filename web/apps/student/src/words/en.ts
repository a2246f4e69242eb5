import { activation } from './en/activation.ts'
import { checkIn } from './en/check-in.ts'
import { guardian } from './en/guardian.ts'
import { problems } from './en/problems.ts'
import { rights } from './en/rights.ts'
import { rollCalls } from './en/roll-calls.ts'
import type { StudentWords } from './zh-CN.ts'

export const en: StudentWords = {
  tabs: { label: 'Main', rollCalls: 'Roll calls', leave: 'Leave', notices: 'Notices', me: 'Me' },
  welcome: {
    keyLost: activation.register.again,
  },
  rollCalls,
  checkIn,
  problems,
  activation,
  guardian,
  ...rights,
}
