import type { StaffSchemas } from '@dianming/api/staff'

/** What waits for a decision, in the order of the page. */
export const TASK_KINDS = [
  'looks',
  'leave',
  'returns',
  'objections',
  'faces',
  'prompts',
  'claims',
  'corrections',
  'portraits',
] as const
export type TaskKind = (typeof TASK_KINDS)[number]

export type Role = StaffSchemas['StaffMeOut']['kind']

/** Who decides each kind. Others in the list only read it, and are told who decides. */
const DECIDERS: Record<TaskKind, readonly string[]> = {
  looks: ['counselor', 'registrar'],
  leave: ['counselor', 'registrar'],
  returns: ['counselor', 'registrar'],
  objections: ['counselor', 'registrar'],
  faces: ['counselor', 'registrar'],
  prompts: ['registrar'],
  claims: [],
  corrections: ['registrar'],
  portraits: ['registrar'],
}

export function decides(role: string | undefined, kind: TaskKind): boolean {
  return role !== undefined && DECIDERS[kind].includes(role)
}

export function isTaskKind(text: unknown): text is TaskKind {
  return (TASK_KINDS as readonly unknown[]).includes(text)
}

/** One row of the list. `title` is '' while the name of the student is unknown. */
export interface Task {
  kind: TaskKind
  id: string
  studentId: string
  title: string
  line: string
  /** Until when it should be done; undefined without a limit. */
  due: string | undefined
}

/** Soonest limit first; what has none comes last. */
export function sortTasks(tasks: readonly Task[]): Task[] {
  const at = (task: Task) => (task.due === undefined ? Number.POSITIVE_INFINITY : Date.parse(task.due))
  return [...tasks].sort((a, b) => {
    const [first, second] = [at(a), at(b)]
    return first === second ? a.title.localeCompare(b.title, 'zh-CN') : first - second
  })
}

/** Approved leave that is over and whose return nobody recorded. */
export function awaitsReturn(
  leave: Pick<StaffSchemas['LeaveOut'], 'state' | 'ends_at' | 'returned_at'>,
  nowMs: number,
): boolean {
  return leave.state === 'approved' && leave.returned_at === null && Date.parse(leave.ends_at) <= nowMs
}
