import { describe, expect, it } from 'vitest'

import {
  cellName,
  codesOf,
  countOf,
  filtered,
  type Finding,
  linkTo,
  positionOf,
} from '../src/roster/findings.ts'

const finding: Finding = {
  sheet: 'Sheet1',
  letter: 'AB',
  row: 12,
  code: 'id_number_invalid',
  column: '身份证件号',
  value: '41…',
  severity: 'error',
  zh: '',
  en: '',
}
const warning: Finding = { ...finding, code: 'phone_unreadable', severity: 'warning' }
const summary = {
  errors_by_code: { id_number_invalid: 3, value_missing: 7 },
  warnings_by_code: { phone_unreadable: 5 },
} as never

describe('a finding of a roster', () => {
  it('names its cell as the spreadsheet does', () => {
    expect(cellName(finding)).toBe('AB12')
    expect(positionOf(finding)).toBe('Sheet1!AB12:id_number_invalid')
  })

  it('has a link that names cell and file', () => {
    expect(linkTo(finding, '0123456789abcdef')).toEqual({
      at: 'Sheet1!AB12:id_number_invalid',
      file: '0123456789ab',
    })
  })
})

describe('the filter of findings', () => {
  it('leaves those of a severity and a code', () => {
    expect(filtered([finding, warning], {})).toHaveLength(2)
    expect(filtered([finding, warning], { severity: 'warning' })).toEqual([warning])
    expect(filtered([finding, warning], { severity: 'error', code: 'phone_unreadable' })).toEqual([])
  })

  it('offers the codes of the whole file, the most frequent first', () => {
    expect(codesOf(summary, undefined).map((each) => each.code)).toEqual([
      'value_missing',
      'phone_unreadable',
      'id_number_invalid',
    ])
    expect(codesOf(summary, 'error').map((each) => each.n)).toEqual([7, 3])
  })

  it('counts those that are not listed too', () => {
    expect(countOf(summary, {})).toBe(15)
    expect(countOf(summary, { code: 'value_missing' })).toBe(7)
    expect(countOf(summary, { severity: 'warning', code: 'value_missing' })).toBe(0)
  })
})
