export const zhCN = {
  tabs: { label: '主导航', rollCalls: '点名', tasks: '待办', students: '学生', me: '我的' },
  signIn: {
    title: '登录',
    login: '账号',
    password: '密码',
    totp: '动态码',
    totpHint: '身份验证器里的 6 位数字',
    submit: '登录',
  },
  rollCalls: { empty: '现在没有点名。' },
  tasks: { empty: '没有待办。', leave: '请假待批' },
  students: { empty: '没有学生。' },
}

export type CounselorWords = typeof zhCN
