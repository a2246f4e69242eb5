import { content } from '@dianming/api'
import type { MobileClient, MobileSchemas } from '@dianming/api/mobile'
import type { InjectionKey } from 'vue'

export type Attachment = MobileSchemas['AttachmentOut']

/** Pictures of certificates stay readable at this size. */
const LONGEST_SIDE = 2400
const LARGE_BYTES = 1_500_000

/** Uploads a file. The page of a guardian provides its own way; without one, the student's is used. */
export const UPLOAD: InjectionKey<(file: File) => Promise<Attachment>> = Symbol('upload')

/** Upload a file for use in a later request. Large pictures are made smaller first. */
export async function uploadAttachment(
  api: MobileClient,
  file: File,
  path: '/v1/attachments' | '/v1/guardian/attachments' = '/v1/attachments',
): Promise<Attachment> {
  const chosen = file.type.startsWith('image/') && file.size > LARGE_BYTES ? await shrink(file) : file
  const init = {
    body: chosen as never,
    bodySerializer: (body: unknown) => body as never,
    headers: { 'Content-Type': chosen.type },
  }
  return content(api.POST(path, init))
}

async function shrink(file: File): Promise<Blob> {
  const picture = await createImageBitmap(file)
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height))
  const canvas = document.createElement('canvas')
  canvas.width = Math.round(picture.width * scale)
  canvas.height = Math.round(picture.height * scale)
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height)
  picture.close()
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), 'image/jpeg', 0.85))
}

/** Download an attachment and let the browser save it. */
export async function saveAttachment(api: MobileClient, attachment: Attachment): Promise<void> {
  const path = { attachment_id: attachment.id }
  const { data } = await api.GET('/v1/attachments/{attachment_id}', { params: { path }, parseAs: 'blob' })
  const ending = attachment.media_type === 'application/pdf' ? 'pdf' : 'jpg'
  saveFile(data as unknown as Blob, `${attachment.id}.${ending}`)
}

/** Let the browser save a file. */
export function saveFile(file: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}
