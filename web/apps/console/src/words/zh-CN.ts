import { casesZh } from './zh/cases.ts'
import { rollCallsZh } from './zh/roll-calls.ts'
import { shellZh } from './zh/shell.ts'
import { sitesZh } from './zh/sites.ts'

export const zhCN = { ...casesZh, ...shellZh, ...rollCallsZh, ...sitesZh }
