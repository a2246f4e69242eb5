import type { OutboxItem } from '@dianming/device'

/** How far an item of the outbox is. Without an item everything was sent. */
export type Progress = 'signed' | 'frames' | 'verifying'

export function progressOf(item: OutboxItem | undefined): Progress {
  if (item === undefined) return 'verifying'
  if (item.submissionId === undefined) return 'signed'
  return item.framesSent < item.frames.length ? 'frames' : 'verifying'
}
