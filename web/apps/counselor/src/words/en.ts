import type { CounselorWords } from './zh-CN.ts'

export const en: CounselorWords = {
  tabs: { label: 'Main', rollCalls: 'Roll calls', tasks: 'Tasks', students: 'Students', me: 'Me' },
  signIn: {
    title: 'Sign in',
    login: 'Login name',
    password: 'Password',
    totp: 'Code',
    totpHint: '6 digits of the authenticator app',
    submit: 'Sign in',
  },
  rollCalls: { empty: 'There is no roll call now.' },
  tasks: { empty: 'There are no tasks.', leave: 'Leave to decide' },
  students: { empty: 'There are no students.' },
}
