import type { StaffSchemas } from '@dianming/api/staff'

export type Queue = StaffSchemas['VerificationOut']
export type Delivery = StaffSchemas['NoticeGroup']

const CHANNELS = ['in_app', 'sms', 'wechat', 'web_push'] as const
const STATES = ['queued', 'sent', 'delivered', 'failed'] as const

/** The notices of one channel by what became of them. */
export type DeliveryRow = { channel: (typeof CHANNELS)[number] } & Record<(typeof STATES)[number], number>

/** The channels that were used, in the order in which people think of them. */
export function deliveryRows(group: Pick<Delivery, 'channels'>): DeliveryRow[] {
  return CHANNELS.flatMap((channel) => {
    const states = group.channels[channel]
    if (!states) return []
    const [queued = 0, sent = 0, delivered = 0, failed = 0] = STATES.map((state) => states[state] ?? 0)
    return [{ channel, queued, sent, delivered, failed }]
  })
}
