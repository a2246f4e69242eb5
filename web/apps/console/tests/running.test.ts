import { ApiError } from '@dianming/api'
import { describe, expect, it } from 'vitest'

import { activationLink, invitedKinds, isOwnUnit, unitKinds } from '../src/accounts/kinds.ts'
import { yuan } from '../src/aid/yuan.ts'
import { changesOf, pageOf } from '../src/audit/actions.ts'
import { createAppRouter } from '../src/router.ts'
import { parseCalendarCsv, parseDays } from '../src/terms/calendar-csv.ts'
import { fieldMessages } from '../src/terms/field-messages.ts'
import { missingYears, today } from '../src/terms/missing-years.ts'

describe('accounts', () => {
  it('are invited at the level below, and by the province at its own', () => {
    expect(invitedKinds('province')).toContain('province')
    expect(invitedKinds('bureau')).toEqual(['registrar', 'bureau'])
    expect(invitedKinds('registrar')).toEqual(['counselor'])
    expect(invitedKinds('counselor')).toEqual([])
    expect(isOwnUnit('counselor')).toBe(true)
    expect(unitKinds('bureau')).toEqual(['city', 'county'])
  })

  it('are activated by a link whose fragment the server does not see', () => {
    const link = new URL(activationLink('https://d.example', 'li.laoshi', 'ABCD2345'))
    expect(link.search).toBe('')
    expect(new URLSearchParams(link.hash.slice(1)).get('login')).toBe('li.laoshi')
  })
})

describe('amounts', () => {
  it.each([
    [115_000, '¥1,150.00'],
    [0, '¥0.00'],
    [-7, '-¥0.07'],
  ])('are whole fen and read in yuan: %i', (fen, text) => {
    expect(yuan(fen, 'zh-CN')).toBe(text)
  })
})

describe('the calendar', () => {
  const TERM = { starts_on: '2026-09-01', ends_on: '2027-01-31' }

  it('misses the years of terms that are not over', () => {
    expect(missingYears([2026], [TERM], '2026-11-30')).toEqual([2027])
    expect(missingYears([2026, 2027], [TERM], '2026-11-30')).toEqual([])
    expect(missingYears([2026], [TERM], '2027-03-01')).toEqual([2027])
    expect(missingYears([2027], [TERM], '2027-03-01')).toEqual([])
  })

  it('has the day of China', () => {
    expect(today(new Date('2026-12-31T16:30:00Z'))).toBe('2027-01-01')
  })

  it('is read from CSV, and names the lines that it does not understand', () => {
    const text =
      '\uFEFFdate,kind\r\n2027-01-01,holiday\r\n2027-02-14, makeup_workday\r\n2027-1-2,holiday\n2027-01-03,x\n\n'
    expect(parseCalendarCsv(text)).toEqual({
      holidays: ['2027-01-01'],
      makeup_workdays: ['2027-02-14'],
      faulty: [4, 5],
    })
    expect(parseDays('2027-01-01、2027-01-02\n 2027-01-03 ')).toHaveLength(3)
  })
})

describe('the refusal of a term', () => {
  const refusal = (code: string, fields: { field: string; message: string }[] = []) =>
    new ApiError({ code, status: 409, sentences: { zh: '重复', en: 'overlaps' }, fields })

  it('is shown at its field', () => {
    expect(fieldMessages(refusal('term_overlaps'), 'zh-CN')).toEqual({ starts_on: '重复' })
    expect(fieldMessages(refusal('invalid', [{ field: 'body.code', message: '太长' }]), 'en')).toEqual({
      code: '太长',
    })
    expect(fieldMessages(refusal('terms_busy'), 'en')).toEqual({})
  })
})

describe('an entry of the audit log', () => {
  const routes = createAppRouter().getRoutes()

  it.each([
    'account',
    'aid_application',
    'aid_export',
    'aid_filing',
    'appeal',
    'change_request',
    'prompt',
    'student',
  ])('links to an existing page: %s', (subject_type) => {
    const page = pageOf({ subject_type, subject_id: 'x' }) as { name: string }
    expect(routes.map((each) => each.name)).toContain(page.name)
  })

  it('of an outcome links to its roll call', () => {
    expect(pageOf({ subject_type: 'outcome', subject_id: 'roll/student' })).toEqual({
      name: 'roll-call',
      params: { id: 'roll' },
    })
    expect(pageOf({ subject_type: 'key', subject_id: 'x' })).toBeUndefined()
  })

  it('says what changed', () => {
    expect(changesOf({ before: { status: 'active' }, after: { status: 'disabled', n: 2 } })).toEqual([
      'status: active → disabled',
      'n: 2',
    ])
    expect(changesOf({ before: { version: 1 }, after: null })).toEqual(['version: 1 →'])
  })
})
