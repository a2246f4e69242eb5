import { defineApp } from '../../build/app.ts'

const COUNSELOR = process.env['DIANMING_DEV_COUNSELOR'] ?? 'http://127.0.0.1:5174'
const CONSOLE = process.env['DIANMING_DEV_CONSOLE'] ?? 'http://127.0.0.1:5175'

export default defineApp({
  base: '/m/',
  name: '点名 · 学生',
  shortName: '点名',
  description: '在校核验、请假与消息',
  firstPage: 'src/pages/Welcome.vue',
  port: Number(process.env['DIANMING_DEV_PORT'] ?? 5173),
  // Proofs name the origin, so in development all apps share the one of the student app.
  proxy: { '/c/': { target: COUNSELOR, ws: true }, '/console/': { target: CONSOLE, ws: true } },
})
