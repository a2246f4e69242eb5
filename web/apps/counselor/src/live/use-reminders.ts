import { ApiError, content } from '@dianming/api'
import { type Bilingual, useSession } from '@dianming/staff'
import { reactive } from 'vue'

import { inChunks, type RowResult } from '../composables/bulk-rows.ts'
import type { ClassMissing, Missing } from './missing.ts'
import { summariseRows } from './reminder-rows.ts'
import { useContacted } from './use-contacted.ts'

/** What became of reminding a class, or of reminding students one by one. */
export interface ReminderResult {
  key: string
  /** The class, or '' for chosen students. */
  name: string
  students: number
  error: ApiError | Bilingual | undefined
}

/**
 * A reminder of classes has one result for each; one of chosen students has one for each thing that became of them. Those
 * of the `missing` who were reminded are noted as urged.
 */
export function useReminders(rollCallId: () => string, missing: () => readonly Missing[]) {
  const { api } = useSession()
  const urged = useContacted(rollCallId, 'urged')
  const state = reactive({ isBusy: false, results: [] as ReminderResult[] })
  const params = () => ({ path: { roll_call_id: rollCallId() } })

  async function run(act: () => Promise<void>): Promise<void> {
    if (state.isBusy) return
    state.isBusy = true
    state.results = []
    try {
      await act()
    } finally {
      state.isBusy = false
    }
  }

  const remind = (classes: readonly ClassMissing[]) =>
    run(async () => {
      for (const each of classes) state.results.push(await remindClass(each))
    })

  async function remindClass({ id, name }: ClassMissing): Promise<ReminderResult> {
    const result = { key: id, name, students: 0, error: undefined }
    try {
      const { students } = await content(
        api.POST('/v1/roll-calls/{roll_call_id}/urges', { params: params(), body: { class_id: id } }),
      )
      if (students > 0) {
        for (const each of missing()) if (each.class_id === id) urged.add(each.student_id)
      }
      return { ...result, students }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return { ...result, error }
    }
  }

  const remindStudents = (students: readonly Pick<Missing, 'student_id'>[]) =>
    run(async () => {
      const ids = students.map((each) => each.student_id)
      const rows: RowResult[] = []
      try {
        for (const student_ids of inChunks(ids)) {
          const path = '/v1/roll-calls/{roll_call_id}/student-reminders'
          rows.push(...(await content(api.POST(path, { params: params(), body: { student_ids } }))).rows)
        }
        for (const row of rows) if (row.error === null) urged.add(row.id)
        state.results = summariseRows(rows)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        state.results = [...summariseRows(rows), { key: 'failed', name: '', students: 0, error }]
      }
    })

  return { state, remind, remindStudents }
}
