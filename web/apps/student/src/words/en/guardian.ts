import type { guardian as zh } from '../zh/guardian.ts'

/** The page that a guardian opens from an SMS. */
export const guardian: typeof zh = {
  title: "Your child's roll calls",
  noLink:
    'Open this page with the whole link of the SMS. When a link has expired, the next SMS has a new one; you can also call the counselor.',
  until: 'This link works until {time}. Do not pass it on.',
  counselor: 'Counselor',
  counts: 'Standing and counts',
  misses: 'Missed roll calls',
  noMisses: 'No roll call was missed this term.',
  counted: 'counts',
  notCounted: 'does not count: {why}',
  notAssessed: 'not assessed yet',
  claim: 'Give a reason for the child',
  prompts: 'Prompts to the school',
  noPrompts: 'There are no prompts.',
  due: 'The school has to decide by {time}',
  statement: 'Make a statement for the child',
  appeals: 'Appeals',
  noAppeals: 'There are no appeals.',
  appeal: 'Appeal for the child',
  ownAppeal: 'Your child filed it; look at its messages together in the app.',
  ours: 'Our side',
  files: 'Files: {n}',
  mayAct:
    'The child is under eighteen: you may give reasons, make statements and appeal. The record says that a guardian did.',
  readsOnly:
    'The child is eighteen or older: you may read. Reasons, statements and appeals are for the child to make.',
  text: 'Describe what happened',
  reason: 'Reason',
  submit: 'Submit',
  cancel: 'Cancel',
  sent: 'Submitted. The school sees that a guardian did.',
}
