import { rollCallsZh } from './zh/roll-calls.ts'
import { shellZh } from './zh/shell.ts'

export const zhCN = { ...shellZh, ...rollCallsZh }
