import { content } from '@dianming/api'
import { readAll, useBilingual, useMe, useSession, useTimes } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed } from 'vue'
import { useI18n } from 'vue-i18n'

import { useStudents } from '../composables/students.ts'
import { awaitsReturn, decides, sortTasks, type Task, TASK_KINDS, type TaskKind } from './kinds.ts'

const REFRESH_MS = 60_000

/** Everything that waits, by kind, for the list and for the count at the tab. */
export function useTasks() {
  const session = useSession()
  const { api, clock } = session
  const { t } = useI18n()
  const { say } = useBilingual()
  const { period } = useTimes()
  const { role } = useMe()
  const { byId } = useStudents()
  const isStaffOfSchool = () =>
    session.isSignedIn && (role.value === 'counselor' || role.value === 'registrar')

  function listOf<T>(kind: string, read: (signal: AbortSignal) => Promise<T[]>, isEnabled = isStaffOfSchool) {
    return useQuery({
      queryKey: ['tasks', kind],
      queryFn: ({ signal }) => read(signal),
      enabled: isEnabled,
      refetchInterval: REFRESH_MS,
    })
  }
  const page = (cursor: string | undefined) => ({ limit: 100, ...(cursor && { cursor }) })

  const pending = listOf('leave', (signal) =>
    readAll((cursor) =>
      api.GET('/v1/leave-requests', { params: { query: { state: 'pending', ...page(cursor) } }, signal }),
    ),
  )
  const approved = listOf('returns', async (signal) => {
    const query = { state: 'approved', limit: 100 } as const
    return (await content(api.GET('/v1/leave-requests', { params: { query }, signal }))).items
  })
  const looks = listOf('looks', (signal) =>
    readAll((cursor) => api.GET('/v1/looks', { params: { query: page(cursor) }, signal })),
  )
  const objections = listOf('objections', async (signal) => {
    const { items } = await content(api.GET('/v1/rebinding-objections', { signal }))
    return items.filter((each) => each.state === 'open')
  })
  const faces = listOf('faces', async (signal) => {
    const { items } = await content(
      api.GET('/v1/face-replacements', { params: { query: { state: 'open' } }, signal }),
    )
    return items.filter((each) => !each.answers.some((answer) => answer.side === 'school'))
  })
  const prompts = listOf('prompts', (signal) =>
    readAll((cursor) =>
      api.GET('/v1/prompts', { params: { query: { open_only: true, ...page(cursor) } }, signal }),
    ),
  )
  const claims = listOf('claims', (signal) =>
    readAll((cursor) =>
      api.GET('/v1/reason-claims', { params: { query: { state: 'open', ...page(cursor) } }, signal }),
    ),
  )
  const corrections = listOf('corrections', (signal) =>
    readAll((cursor) =>
      api.GET('/v1/record-corrections', { params: { query: { status: 'open', ...page(cursor) } }, signal }),
    ),
  )
  const portraits = listOf(
    'portraits',
    (signal) =>
      readAll((cursor) =>
        api.GET('/v1/portraits', { params: { query: { state: 'review', ...page(cursor) } }, signal }),
      ),
    () => session.isSignedIn && role.value === 'registrar',
  )

  const name = (studentId: string) => byId.value.get(studentId)?.name ?? ''
  const tasks = computed<Record<TaskKind, Task[]>>(() => ({
    looks: (looks.data.value ?? []).map((each) => ({
      kind: 'looks',
      id: each.id,
      studentId: each.student_id,
      title: each.student_name,
      line: `${each.class_name} · ${each.roll_call_title}`,
      due: each.expires_at,
    })),
    leave: (pending.data.value ?? []).map((each) => ({
      kind: 'leave',
      id: each.id,
      studentId: each.student_id,
      title: name(each.student_id),
      line: `${t(`leave.kind.${each.kind}`)} · ${period(each.starts_at, each.ends_at)}`,
      due: each.starts_at,
    })),
    returns: (approved.data.value ?? [])
      .filter((each) => awaitsReturn(each, clock.nowMs()))
      .map((each) => ({
        kind: 'returns',
        id: each.id,
        studentId: each.student_id,
        title: name(each.student_id),
        line: `${t(`leave.kind.${each.kind}`)} · ${period(each.starts_at, each.ends_at)}`,
        due: undefined,
      })),
    objections: (objections.data.value ?? []).map((each) => ({
      kind: 'objections',
      id: each.id,
      studentId: each.student_id,
      title: each.student_name,
      line: each.class_name,
      due: undefined,
    })),
    faces: (faces.data.value ?? []).map((each) => ({
      kind: 'faces',
      id: each.id,
      studentId: each.student_id,
      title: each.student_name,
      line: t('faces.shots', { n: each.shots }),
      due: undefined,
    })),
    prompts: (prompts.data.value ?? []).map((each) => ({
      kind: 'prompts',
      id: each.id,
      studentId: each.student_id,
      title: each.student_name,
      line: `${say(each.kind)} · ${say(each.proposed)}`,
      due: each.due_at ?? undefined,
    })),
    claims: (claims.data.value ?? []).map((each) => ({
      kind: 'claims',
      id: each.id,
      studentId: each.student_id,
      title: name(each.student_id),
      line: each.roll_call_title,
      due: undefined,
    })),
    corrections: (corrections.data.value ?? []).map((each) => ({
      kind: 'corrections',
      id: each.id,
      studentId: each.student_id,
      title: each.student_name,
      line: `${each.class_name} · ${t('corrections.claims', { claimed: each.claimed })}`,
      due: undefined,
    })),
    portraits: (portraits.data.value ?? []).map((each) => ({
      kind: 'portraits',
      id: each.id,
      studentId: each.student_id,
      title: each.student_name,
      line: each.class_name,
      due: undefined,
    })),
  }))

  const groups = computed(() =>
    TASK_KINDS.map((kind) => ({
      kind,
      isMine: decides(role.value, kind),
      tasks: sortTasks(tasks.value[kind]),
    })).filter((group) => group.tasks.length > 0),
  )
  const queries = [pending, approved, looks, objections, faces, prompts, claims, corrections]

  return {
    groups,
    /** Prompts whose receipt the school has not confirmed. */
    unreceivedPrompts: computed(() =>
      (prompts.data.value ?? []).filter((each) => each.delivered_at === null).map((each) => each.id),
    ),
    count: computed(() =>
      groups.value.reduce((sum, group) => sum + (group.isMine ? group.tasks.length : 0), 0),
    ),
    isPending: computed(() => queries.some((each) => each.isLoading.value)),
    /** A list that could not be read, if the others are not enough: one missing list must not hide the rest. */
    error: computed(() => queries.map((each) => each.error.value).find((each) => each !== null)),
    reload: () => Promise.all(queries.map((each) => each.refetch())),
  }
}
