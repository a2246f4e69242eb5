import type { problems as zh } from '../zh/problems.ts'

export const problems: typeof zh = {
  cameraRefused: 'The camera is blocked',
  cameraMissing: 'There is no front camera',
  cameraBusy: 'The camera is in use',
  cameraUnsupported: 'This browser cannot use the camera',
  cameraFrozen: 'The picture does not move',
  cameraFrozenText:
    'All pictures are the same. Close other apps that use the camera, or restart the browser, and try again.',
  positionRefused: 'The position is blocked',
  positionTimeout: 'No position in time',
  positionUnavailable: 'There is no position now',
  positionUnsupported: 'This browser has no position',
  storage: 'The key cannot be kept',
  offline: 'No network',
  offlineText:
    'A network is needed to request the actions. Switch it on and try again. What is signed is sent again by itself.',
  clock: 'The time of the phone is wrong',
  clockText:
    'The time of this phone differs from the server by about {time}. Switch on automatic time, and try again.',
  keyLost: 'This phone must be registered again',
  wechat: 'Open it in the browser of the system',
  wechatText:
    'The browser of WeChat often has neither camera nor position. Tap ··· at the top right and choose “Open in browser”.',
  copy: 'Copy the link',
  copied: 'Copied. Paste it into the browser of the system',
  continueHere: 'Continue here anyway',
  refusedHow: 'How to switch it on',
  iphone: 'iPhone',
  android: 'Android',
  cameraIphone: 'Settings › Safari › Camera › Allow, then reload this page.',
  cameraAndroid: 'Lock icon in the address bar › Permissions › Camera › Allow, then reload this page.',
  positionIphone:
    'Settings › Privacy & Security › Location Services › Safari Websites › While Using, and switch on Precise Location.',
  positionAndroid:
    'Switch on location on the phone. Then lock icon in the address bar › Permissions › Location › Allow.',
  retry: 'It is switched on, try again',
  counselor: 'If it does not work: be attested by the counselor',
  reload: 'Reload this page',
  register: 'Register this phone again',
}
