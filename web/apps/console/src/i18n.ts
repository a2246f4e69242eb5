import { createAppI18n } from '@dianming/i18n'

import { zhCN } from './words/zh-CN.ts'

export const { i18n, ready, choose, language } = createAppI18n({
  zhCN,
  loadEnglish: async () => (await import('./words/en.ts')).en,
})
