import { clientError, send } from '@dianming/api'
import type { MobileSchemas } from '@dianming/api/mobile'
import type { DeviceSession, OutboxTransport, Receipt } from '@dianming/device'

/** How the outbox reaches the API. */
export function createTransport(device: DeviceSession): OutboxTransport {
  return {
    async sendEnvelope(rollCallId, body, isOwnProof) {
      const path = envelopePath(rollCallId)
      if (isOwnProof) device.expectOwnProof(path)
      const request = new Request(location.origin + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      })
      return readReceipt(await send(request, device))
    },
    async sendFrame(submissionId, position, bytes) {
      const path = `/mobile/v1/submissions/${submissionId}/frames/${position}`
      const headers = { 'Content-Type': 'image/jpeg' }
      await send(new Request(location.origin + path, { method: 'PUT', headers, body: bytes }), device)
    },
  }
}

/** The path to which the envelopes of a roll call are sent. */
export function envelopePath(rollCallId: string): string {
  return `/mobile/v1/roll-calls/${rollCallId}/envelopes`
}

async function readReceipt(response: Response): Promise<Receipt> {
  const body = (await response.json().catch(() => ({}))) as Partial<MobileSchemas['ReceiptOut']>
  const { submission_id, receipt, frames_due_at } = body
  if (submission_id === undefined || receipt === undefined || frames_due_at === undefined) {
    throw clientError('answer_unreadable', response.status) // another program answered, for example a login page
  }
  return { submissionId: submission_id, receipt, framesDueAt: frames_due_at }
}
