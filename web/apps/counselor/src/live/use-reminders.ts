import { ApiError, content } from '@dianming/api'
import { useSession } from '@dianming/staff'
import { reactive } from 'vue'

import type { ClassMissing } from './missing.ts'

/** What became of reminding one class. */
export interface ReminderResult {
  classId: string
  className: string
  students: number
  error: unknown
}

/** Reminders go by class: one request and one result for each, so that one refusal does not hide the others. */
export function useReminders(rollCallId: () => string) {
  const { api } = useSession()
  const state = reactive({ isBusy: false, results: [] as ReminderResult[] })

  async function remind(classes: readonly ClassMissing[]): Promise<void> {
    if (state.isBusy) return
    state.isBusy = true
    state.results = []
    try {
      for (const each of classes) state.results.push(await remindClass(each))
    } finally {
      state.isBusy = false
    }
  }

  async function remindClass({ id, name }: ClassMissing): Promise<ReminderResult> {
    const result = { classId: id, className: name, students: 0, error: undefined as unknown }
    try {
      const { students } = await content(
        api.POST('/v1/roll-calls/{roll_call_id}/urges', {
          params: { path: { roll_call_id: rollCallId() } },
          body: { class_id: id },
        }),
      )
      return { ...result, students }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return { ...result, error }
    }
  }

  return { state, remind }
}
