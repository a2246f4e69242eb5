import type { StaffSchemas } from '@dianming/api/staff'

export type CounselorRow = StaffSchemas['CounselorRowIn']

export const MAX_ROWS = 100
const HEADER = /^(姓名|name)$/i
const BETWEEN_CELLS = /\t|,|，/
const BETWEEN_CLASSES = /[、;；]/

/**
 * The counselors of a pasted or uploaded list: a line each with name, phone, classes and login, as a spreadsheet copies it
 * (tabs) or saves it (commas). Several classes are separated by 、 or ;. A header line is left out.
 */
export function parseCounselors(text: string): CounselorRow[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => line.split(BETWEEN_CELLS).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1')))
    .filter(([name = '', ...others]) => (name || others.some(Boolean)) && !HEADER.test(name))
    .map(([name = '', phone = '', classes = '', login = '']) => ({
      // The server names what is missing in the result of the row; an empty cell would refuse the whole list.
      name: name || '-',
      phone: phone || '-',
      class_names: classes
        .split(BETWEEN_CLASSES)
        .map((each) => each.trim())
        .filter(Boolean),
      ...(login && { login }),
    }))
}
