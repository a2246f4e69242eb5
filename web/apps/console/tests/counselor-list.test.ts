import { describe, expect, it } from 'vitest'

import { parseCounselors } from '../src/accounts/counselor-list.ts'

describe('a list of counselors', () => {
  it('is read as a spreadsheet copies it, without its header', () => {
    expect(
      parseCounselors('姓名\t手机\t班级\n李老师\t13800000000\t2024级1班、2024级2班\n\n王老师\t13900000000'),
    ).toEqual([
      { name: '李老师', phone: '13800000000', class_names: ['2024级1班', '2024级2班'] },
      { name: '王老师', phone: '13900000000', class_names: [] },
    ])
  })

  it('is read as it is saved as CSV, with a mark of the byte order, quotes and a login', () => {
    expect(parseCounselors('\uFEFF"李老师",13800000000,2024级1班,li.laoshi\r\n')).toEqual([
      { name: '李老师', phone: '13800000000', class_names: ['2024级1班'], login: 'li.laoshi' },
    ])
  })

  it('keeps a line with an empty cell, which the server refuses by itself', () => {
    expect(parseCounselors('\t13800000000\n李老师')).toEqual([
      { name: '-', phone: '13800000000', class_names: [] },
      { name: '李老师', phone: '-', class_names: [] },
    ])
  })
})
