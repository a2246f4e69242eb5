import type { StudentWords } from './zh-CN.ts'

export const en: StudentWords = {
  tabs: { label: 'Main', rollCalls: 'Roll calls', leave: 'Leave', notices: 'Notices', me: 'Me' },
  welcome: {
    title: 'Register this phone',
    text: 'This phone is not registered yet.',
    keyLost:
      'The key of this phone is no longer valid or lost (another phone, deleted browser data, or 7 days without use). Register this phone again.',
  },
  rollCalls: { empty: 'There is no roll call now.' },
  leave: { empty: 'There are no leave requests.', sick: 'Sick leave', personal: 'Personal leave' },
  notices: { empty: 'There are no notices.', unread: 'unread' },
  me: { activated: 'Active', notActivated: 'Activation is not complete' },
}
