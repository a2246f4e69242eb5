import { liveZh } from './live.zh-CN.ts'
import { studentsZh } from './students.zh-CN.ts'
import { tasksZh } from './tasks.zh-CN.ts'

export const zhCN = {
  tabs: {
    label: '主导航',
    rollCalls: '点名',
    tasks: '待办',
    students: '学生',
    me: '我的',
    skip: '跳到主要内容',
    waiting: '{n} 项待办',
  },
  signIn: {
    title: '登录',
    login: '账号',
    password: '密码',
    totp: '动态码',
    totpHint: '身份验证器里的 6 位数字',
    submit: '登录',
    activate: '首次使用：激活账号',
    lost: '丢失验证器或忘记密码：请上级管理员重置后重新激活。',
  },
  activation: {
    title: '激活账号',
    intro: '用学校给您的账号和激活码，设置密码并绑定身份验证器。',
    unit: '学校或单位',
    login: '账号',
    code: '激活码',
    name: '姓名',
    phone: '手机号',
    password: '设置密码',
    passwordHint: '至少 12 位，可用一句话',
    next: '下一步',
    scan: '用身份验证器扫码',
    scanHint:
      '打开微信小程序“腾讯身份验证器”、微软或谷歌验证器等，扫描下面的二维码；在同一台手机上可点“打开验证器”。',
    openApp: '打开验证器',
    secret: '不能扫码时手动输入密钥',
    totp: '验证器里的 6 位动态码',
    confirm: '完成激活',
    done: '账号已激活',
    doneHint: '这个动态码已用过，请等验证器显示下一个，再登录。',
    toSignIn: '去登录',
  },
  ...liveZh,
  ...tasksZh,
  ...studentsZh,
}

export type CounselorWords = typeof zhCN
