import { defineApp } from '../../build/app.ts'

export default defineApp({
  base: '/c/',
  name: '点名 · 辅导员',
  shortName: '点名辅导员',
  description: '督促点名、批假与现场核验',
  firstPage: 'src/pages/SignIn.vue',
  port: Number(process.env['DIANMING_DEV_COUNSELOR_PORT'] ?? 5174),
})
