import { content } from '@dianming/api'
import type { MobileClient } from '@dianming/api/mobile'

function form(field: 'shots' | 'image', pictures: readonly Blob[]): FormData {
  const data = new FormData()
  pictures.forEach((picture, n) => data.append(field, picture, `${field}-${n}.jpg`))
  return data
}

const asIs = (body: unknown) => body as never

/** Send the shots of an enrolment, or of a replacement. */
export function sendShots(api: MobileClient, shots: readonly Blob[], isReplacement: boolean) {
  const init = { body: form('shots', shots) as never, bodySerializer: asIs }
  return content(isReplacement ? api.POST('/v1/me/face-replacement', init) : api.POST('/v1/me/face', init))
}

/** Send the ID portrait. */
export function sendPortrait(api: MobileClient, picture: Blob) {
  return content(
    api.POST('/v1/me/portrait', { body: form('image', [picture]) as never, bodySerializer: asIs }),
  )
}
