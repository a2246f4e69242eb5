import { ApiError, content } from '@dianming/api'
import { readAll, useBilingual, useSession, useTimes } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'

import { useChangeKinds } from '../changes/kinds.ts'
import type { TimelineItem } from './timeline.ts'

const HIDDEN = [403, 404]

/** A part that the role may not see, or that does not exist for the student, is null and no error. */
async function ifVisible<T>(part: Promise<T>): Promise<T | null> {
  try {
    return await part
  } catch (error) {
    if (error instanceof ApiError && HIDDEN.includes(error.status)) return null
    throw error
  }
}

/** All records of a student that the caller may see. */
export function useTimeline(id: Ref<string>) {
  const { t } = useI18n()
  const { api } = useSession()
  const { say } = useBilingual()
  const { period } = useTimes()
  const { nameOf } = useChangeKinds()
  const yuan = (fen: number) => `¥${(fen / 100).toFixed(2)}`

  async function read() {
    const student_id = id.value
    const path = { student_id }
    const at = (cursor?: string) => ({ limit: 100, ...(cursor && { cursor }) })
    const of = (cursor?: string) => ({ params: { query: { student_id, ...at(cursor) } } })
    const [rollCalls, prompts, ledger, changes, aid, appeals, leave, attendance, views, claims] =
      await Promise.all([
        ifVisible(
          readAll((c) => api.GET('/v1/students/{student_id}/roll-calls', { params: { path, query: at(c) } })),
        ),
        ifVisible(readAll((c) => api.GET('/v1/prompts', of(c)))),
        ifVisible(content(api.GET('/v1/students/{student_id}/standing-entries', { params: { path } }))),
        ifVisible(readAll((c) => api.GET('/v1/change-requests', of(c)))),
        ifVisible(content(api.GET('/v1/students/{student_id}/aid', { params: { path } }))),
        ifVisible(readAll((c) => api.GET('/v1/appeals', of(c)))),
        ifVisible(readAll((c) => api.GET('/v1/leave-requests', of(c)))),
        ifVisible(
          readAll((c) => api.GET('/v1/students/{student_id}/attendance', { params: { path, query: at(c) } })),
        ),
        ifVisible(
          readAll((c) =>
            api.GET('/v1/students/{student_id}/picture-views', { params: { path, query: at(c) } }),
          ),
        ),
        ifVisible(readAll((c) => api.GET('/v1/reason-claims', of(c)))),
      ])
    return { rollCalls, prompts, ledger, changes, aid, appeals, leave, attendance, views, claims }
  }

  const answer = useQuery({ queryKey: computed(() => ['student', id.value, 'timeline']), queryFn: read })

  const items = computed<TimelineItem[]>(() => {
    const on = answer.data.value
    if (!on) return []
    const link = (name: string, target: string) => ({ to: { name, params: { id: target } } })
    return [
      ...(on.rollCalls ?? []).map((each) => ({
        id: each.roll_call_id,
        kind: 'rollCall' as const,
        at: each.opens_at,
        text: [each.title, each.outcome && t(`board.outcome.${each.outcome}`)].filter(Boolean).join(' · '),
        ...link('roll-call', each.roll_call_id),
      })),
      ...(on.prompts ?? []).map((each) => ({
        id: each.id,
        kind: 'prompt' as const,
        at: each.raised_at,
        text: `${say(each.kind)} · ${say(each.state)}`,
        ...link('prompt', each.id),
      })),
      ...(on.ledger?.entries ?? []).map((each) => ({
        id: each.id,
        kind: 'entry' as const,
        at: each.at,
        text: [
          each.change_kind && nameOf(each.change_kind),
          `${t(`standing.${each.before.standing}`)} → ${t(`standing.${each.after.standing}`)}`,
          t(`students.studyForm.${each.after.study_form}`),
        ]
          .filter(Boolean)
          .join(' · '),
      })),
      ...(on.changes ?? []).map((each) => ({
        id: each.id,
        kind: 'change' as const,
        at: each.filed_at,
        text: `${nameOf(each.change_kind)} · ${t(`changes.states.${each.state}`)}`,
        ...link('change', each.id),
      })),
      ...(on.aid?.applications ?? []).map((each) => ({
        id: each.id,
        kind: 'aid' as const,
        at: each.filed_at,
        text: each.term_code,
      })),
      ...(on.aid?.payments ?? []).map((each) => ({
        id: each.id,
        kind: 'payment' as const,
        at: each.recorded_at,
        text: `${each.month} · ${yuan(each.fen)}`,
      })),
      ...(on.appeals ?? []).map((each) => ({
        id: each.id,
        kind: 'appeal' as const,
        at: each.filed_at,
        text: [each.deciding_unit_name, t(`appeals.states.${each.state}`)].filter(Boolean).join(' · '),
        ...link('appeal', each.id),
      })),
      ...(on.leave ?? []).map((each) => ({
        id: each.id,
        kind: 'leave' as const,
        at: each.filed_at,
        text: `${period(each.starts_at, each.ends_at)} · ${each.reason}`,
      })),
      ...(on.attendance ?? []).map((each) => ({
        id: each.id,
        kind: 'attendance' as const,
        at: each.at,
        text: [t(each.present ? 'students.present' : 'students.absent'), each.note]
          .filter(Boolean)
          .join(' · '),
      })),
      ...(on.claims ?? []).map((each) => ({
        id: each.id,
        kind: 'claim' as const,
        at: each.filed_at,
        text: `${each.roll_call_title} · ${each.text}`,
      })),
      ...(on.views ?? []).map((each) => ({
        id: each.id,
        kind: 'picture' as const,
        at: each.at,
        text: `${each.unit_name} · ${say(each.purpose)}`,
      })),
    ]
  })

  return { answer, items, isLocked: computed(() => answer.data.value?.ledger?.locked ?? false), ifVisible }
}
