import { liveEn } from './live.en.ts'
import { studentsEn } from './students.en.ts'
import { tasksEn } from './tasks.en.ts'
import type { CounselorWords } from './zh-CN.ts'

export const en: CounselorWords = {
  tabs: {
    label: 'Main',
    rollCalls: 'Roll calls',
    tasks: 'Tasks',
    students: 'Students',
    me: 'Me',
    skip: 'Skip to the content',
    waiting: '{n} tasks',
  },
  signIn: {
    title: 'Sign in',
    login: 'Login name',
    password: 'Password',
    totp: 'Code',
    totpHint: '6 digits of the authenticator app',
    submit: 'Sign in',
    activate: 'First time: activate the account',
    lost: 'Authenticator lost or password forgotten: a superior administrator resets it, and you activate again.',
  },
  activation: {
    title: 'Activate the account',
    intro:
      'With login name and activation code of your school, set a password and link an authenticator app.',
    unit: 'School or unit',
    login: 'Login name',
    code: 'Activation code',
    name: 'Name',
    phone: 'Mobile number',
    password: 'New password',
    passwordHint: 'At least 12 characters; a sentence is good',
    next: 'Next',
    scan: 'Scan with the authenticator app',
    scanHint: 'Scan this code with an authenticator app. On the same phone, use the button.',
    openApp: 'Open the authenticator',
    secret: 'If scanning fails, enter this key',
    totp: '6 digits of the authenticator app',
    confirm: 'Activate',
    done: 'The account is active',
    doneHint: 'That code is used up. Wait for the next one, then sign in.',
    toSignIn: 'Sign in',
  },
  ...liveEn,
  ...tasksEn,
  ...studentsEn,
}
