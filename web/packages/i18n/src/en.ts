import type { SharedWords } from './zh-CN.ts'

export const en: SharedWords = {
  common: {
    appName: 'Dianming',
    back: 'Back',
    cancel: 'Cancel',
    close: 'Close',
    colon: ': ',
    confirm: 'OK',
    loading: 'Loading',
    retry: 'Try again',
    refresh: 'Refresh',
    signOut: 'Sign out',
    language: 'Language',
    loadMore: 'Load more',
    nothingMore: 'That is all',
  },
  error: {
    title: 'That did not work',
    code: 'Code {code}',
    offline: 'There is no network now. The app tries again when it is back.',
    unexpected: 'The page has a problem. Reload it; if it stays so, tell the school.',
    notFound: 'There is no such page',
    goHome: 'Go to the start page',
    storageRefused:
      'This browser is in private or lockdown mode and cannot keep the key of this device. Use the normal mode.',
    outdatedClock: 'The time of this phone differs from the server. Switch on automatic time.',
  },
  update: {
    available: 'A new version is there',
    apply: 'Update',
  },
  demo: {
    clock: 'Demonstration clock',
    minute: '+1 min',
    minutes: '+10 min',
    hour: '+1 hour',
    day: '+1 day',
  },
  time: {
    left: '{time} left',
    over: 'Closed',
    days: '{n} d',
    hours: '{n} h',
    minutes: '{n} min',
    seconds: '{n} s',
  },
  standing: {
    '01': 'enrolled',
    '02': 'suspended',
    '03': 'withdrawn',
    '04': 'stopped',
    '05': 'resumed',
    '06': 'dropped out',
    '07': 'graduated',
    '08': 'completed',
    '09': 'left before graduation',
    '10': 'transferred out',
    '11': 'deceased',
    '12': 'admission kept',
    '13': 'sent abroad',
    '14': 'expelled',
    '15': 'missing',
    '99': 'other',
  },
  camera: {
    refused:
      'The camera is blocked. iPhone: Settings › Safari › Camera › Allow. Android: lock icon in the address bar › Permissions › Camera.',
    missing: 'There is no front camera. Use a phone that has one, or see your counselor.',
    busy: 'Another app uses the camera. Close it and try again.',
    unsupported: 'This browser cannot use the camera. Open the page in the browser of the system.',
  },
  position: {
    good: 'Accurate to about {metres} m. You can submit.',
    fair: 'Accurate to about {metres} m. It gets better at a window or outside.',
    coarse:
      'The position is coarse (about {metres} m). Switch on precise location, and try at a window or outside.',
    refused:
      'The position is blocked. iPhone: Settings › Safari › Location › Allow. Android: lock icon in the address bar › Permissions › Location.',
    timeout:
      'No position in time. Check that location is switched on; some in-app browsers do not support it, so use the browser of the system.',
    unavailable: 'The phone has no position now. Switch on location, and try at a window or outside.',
    unsupported: 'This browser has no position. Open the page in the browser of the system.',
  },
}
