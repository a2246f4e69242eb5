import type { checkIn as zh } from '../zh/check-in.ts'

export const checkIn: typeof zh = {
  title: 'Check in',
  explain: {
    title: 'Two things before you start',
    position:
      'Position: to judge whether you are inside the filed area of your school. It is read a few times while you check in, never in the background.',
    camera:
      'Camera: a series of pictures, taken now, confirms that it is you. They are used for this only and deleted when their period ends.',
    allowPosition: 'Allow the position',
    allowCamera: 'Open the camera',
    allowed: 'allowed',
    next: 'The browser will ask. Choose “Allow”.',
  },
  opening: 'Opening the camera, finding the position and requesting the actions',
  ready: {
    title: 'Put your face into the frame',
    actions: 'You will be asked for {n} actions, one after the other. Hold each until its prompt ends.',
    start: 'I am ready, start',
    cannot: 'I cannot do some of the actions',
    positionWait: 'Finding the position ({n}/{total})',
    expires: 'Valid for {time}',
  },
  hint: {
    dark: 'Too dark: go where there is more light',
    bright: 'Too bright: avoid strong light',
    blurred: 'Blurred: hold the phone still, or wipe the lens',
    good: 'The picture is clear',
  },
  burst: {
    look: 'Look straight at the screen',
    back: 'Good. Look straight ahead',
    frames: 'Picture {n} of {total}',
    cancel: 'Cancel',
    short: {
      close_eyes: 'Close your eyes',
      open_mouth: 'Open your mouth',
      turn_left: 'Turn left',
      turn_right: 'Turn right',
    },
  },
  cannot: {
    title: 'Which actions can you not do?',
    text: 'You need no reason. It holds for this roll call. Two actions must remain; otherwise your counselor attests you.',
    calm: 'Show all actions first, and go slowly in an even rhythm',
    apply: 'Done, request new actions',
  },
  sending: {
    title: 'Sending',
    signed: 'Signed and saved on this phone',
    received: 'Received by the server (with a receipt)',
    frames: 'Pictures {n}/{total}',
    framesDone: 'All pictures are sent',
    verifying: 'Being verified',
    offline:
      'The network is poor. It is saved and will be sent again. It is in time only if the server receives it before the close; keep this page open.',
    busy: 'Many are sending now. The server has noted when yours arrived; it is sent again by itself, and you are not late because of it.',
    inTime:
      'The server received it {time}, and this time counts. The pictures are not complete yet; keep this page open.',
    verifyingLong: 'Received, being verified. You may leave; the start page shows the result.',
    sendNow: 'Send again now',
    home: 'Go to the start page',
  },
  result: {
    accepted: 'You have passed',
    acceptedAt: '{time}. You do not need to do anything.',
    step_up: 'It is not certain yet',
    rejected: 'Not passed',
    undetermined: 'Undetermined. A person will decide, and it is no miss',
    again: 'Try again',
    triesLeft: 'Face checks left: {n}',
    counselor: 'Be attested by the counselor',
    nextPerson: 'After that your counselor attests you; this alone never counts as a miss.',
    done: 'OK',
    more: '{n} more reasons',
  },
  inPerson: {
    title: 'Be attested by the counselor',
    steps: 'What to do',
    request: 'Ask to be attested',
    requested: 'Done. The counselor sees that you wait to be attested.',
    card: 'Take your student card and see your counselor at school before the close.',
    code: 'The counselor looks at your card, enters its code of 8 digits, and confirms that it is you.',
    same: 'It has the same effect as a check-in by phone: neither standing, aid nor marks suffer.',
    always: 'Never check my face',
    alwaysText:
      'You can choose the way without a face. Your counselor then always attests you, and you can change it back at any time.',
    change: 'Change how I am verified',
  },
}
