/** What the server sends: that there is a notice, its kind and its id. No text, because it passes through other servers. */
export interface PushPayload {
  kind: string
  id: string
}

/** A notification of the system, and the page that it opens. */
export interface PushNotification {
  title: string
  body: string
  /** The same notice is shown once, however often it arrives. */
  tag: string
  page: string
  lang: string
}

const ROLL_CALL = /^roll_call_(?:launched|urged|extended)$/
const TEXTS = {
  zh: {
    title: '点名',
    rollCall: '有一次点名等您核验，点开查看截止时间。',
    other: '您有一条新通知，点开查看。',
  },
  en: {
    title: 'Dianming',
    rollCall: 'A roll call waits for you. Open it to see until when.',
    other: 'You have a new notice. Open it to read.',
  },
} as const

/** Read a message. A message without the expected content still is a notice, and browsers require that each is shown. */
export function notificationOf(payload: unknown, language: string): PushNotification {
  const lang = language.toLowerCase().startsWith('zh') ? 'zh' : 'en'
  const texts = TEXTS[lang]
  const { kind, id } = isPayload(payload) ? payload : { kind: '', id: 'notice' }
  const isRollCall = ROLL_CALL.test(kind)
  return {
    title: texts.title,
    body: isRollCall ? texts.rollCall : texts.other,
    tag: id,
    page: isRollCall ? '/m/' : '/m/notices',
    lang: lang === 'zh' ? 'zh-CN' : 'en',
  }
}

function isPayload(value: unknown): value is PushPayload {
  const fields = value as Partial<PushPayload> | null
  return typeof fields === 'object' && typeof fields?.kind === 'string' && typeof fields.id === 'string'
}
