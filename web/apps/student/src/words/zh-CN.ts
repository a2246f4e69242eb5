import { activation } from './zh/activation.ts'
import { checkIn } from './zh/check-in.ts'
import { guardian } from './zh/guardian.ts'
import { problems } from './zh/problems.ts'
import { rights } from './zh/rights.ts'
import { rollCalls } from './zh/roll-calls.ts'

export const zhCN = {
  tabs: { label: '主导航', rollCalls: '点名', leave: '请假', notices: '消息', me: '我的' },
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

export type StudentWords = typeof zhCN
