import { content } from '@dianming/api'
import type { StaffSchemas } from '@dianming/api/staff'
import { useAct, useSession } from '@dianming/staff'
import { computed, ref, shallowRef } from 'vue'

import { type LaunchDraft, toBody } from './draft.ts'

export type LaunchPreview = StaffSchemas['LaunchPreviewOut']

/** The preview of a launch, which the server computes as it would launch. It holds for the draft of which it was asked. */
export function usePreview(draft: LaunchDraft) {
  const session = useSession()
  const { isBusy, failure, run } = useAct()
  const preview = shallowRef<LaunchPreview>()
  const previewed = ref('')

  const isCurrent = computed(
    () => preview.value !== undefined && previewed.value === JSON.stringify(toBody(draft)),
  )

  async function load(): Promise<void> {
    const body = toBody(draft)
    preview.value = undefined
    await run(async () => {
      preview.value = await content(session.api.POST('/v1/roll-calls/preview', { body }))
      previewed.value = JSON.stringify(body)
    })
  }

  return { preview, isCurrent, isBusy, failure, load }
}
