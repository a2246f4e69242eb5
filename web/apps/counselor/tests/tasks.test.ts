import { describe, expect, it } from 'vitest'

import { groupByClass, searchStudents, type Student } from '../src/students/list.ts'
import { awaitsReturn, decides, isTaskKind, sortTasks, type Task } from '../src/tasks/kinds.ts'

const task = (id: string, due?: string): Task => ({
  kind: 'leave',
  id,
  studentId: id,
  title: id,
  line: '',
  due,
})

describe('tasks', () => {
  it('come by their limit, and those without one last', () => {
    const sorted = sortTasks([
      task('b'),
      task('late', '2026-12-02T08:00:00+08:00'),
      task('a'),
      task('soon', '2026-12-01T23:00:00+08:00'),
    ])
    expect(sorted.map((each) => each.id)).toEqual(['soon', 'late', 'a', 'b'])
  })

  it('are decided by the role that may', () => {
    expect(decides('counselor', 'leave')).toBe(true)
    expect(decides('counselor', 'prompts')).toBe(false)
    expect(decides('registrar', 'prompts')).toBe(true)
    expect(decides(undefined, 'leave')).toBe(false)
    expect(isTaskKind('looks')).toBe(true)
    expect(isTaskKind('__proto__')).toBe(false)
  })

  it('contain approved leave that is over, until the return is recorded', () => {
    const leave = { state: 'approved', ends_at: '2026-12-01T00:00:00+08:00', returned_at: null } as const
    const end = Date.parse(leave.ends_at)
    expect(awaitsReturn(leave, end - 1)).toBe(false)
    expect(awaitsReturn(leave, end)).toBe(true)
    expect(awaitsReturn({ ...leave, state: 'returned', returned_at: leave.ends_at }, end)).toBe(false)
    expect(awaitsReturn({ ...leave, state: 'pending' }, end)).toBe(false)
  })
})

describe('the list of students', () => {
  const student = (name: string, class_name: string): Student => ({
    id: name,
    school_id: 's',
    class_id: class_name,
    class_name,
    name,
    sex: 'female',
    id_number_masked: '410*************2X',
    student_number_masked: null,
    study_form: 'full_time',
    standing: '01',
  })
  const students = [
    student('王小明', '2024级10班'),
    student('李明', '2024级2班'),
    student('张三', '2024级2班'),
  ]

  it('is grouped by class in the order of the numbers', () => {
    const groups = groupByClass(students)
    expect(groups.map((each) => [each.name, each.students.length])).toEqual([
      ['2024级2班', 2],
      ['2024级10班', 1],
    ])
  })

  it('is searched by name, class and number, in either case', () => {
    expect(searchStudents(students, '明').map((each) => each.name)).toEqual(['王小明', '李明'])
    expect(searchStudents(students, '10班')).toHaveLength(1)
    expect(searchStudents(students, ' 2x ')).toHaveLength(3)
    expect(searchStudents(students, '赵')).toEqual([])
  })
})
