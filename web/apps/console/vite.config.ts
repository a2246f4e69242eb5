import { defineApp } from '../../build/app.ts'

export default defineApp({
  base: '/console/',
  components: 'element-plus',
  name: '点名 · 管理台',
  shortName: '点名管理台',
  description: '发起点名、查看进度、办理学籍提示',
  firstPage: 'src/pages/SignIn.vue',
  port: Number(process.env['DIANMING_DEV_CONSOLE_PORT'] ?? 5175),
})
