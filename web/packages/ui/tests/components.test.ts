import { ApiError } from '@dianming/api'
import { createAppI18n } from '@dianming/i18n'
import { mount } from '@vue/test-utils'
import axe from 'axe-core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { CountdownText, durationParts, ErrorScreen, PageShell } from '../src/index.ts'
import NamedButton from '../src/NamedButton.vue'

const { i18n, ready, choose } = createAppI18n({ zhCN: {}, loadEnglish: async () => ({}) })
const global = { plugins: [i18n] }
const error = new ApiError({
  code: 'too_late',
  status: 409,
  sentences: { zh: '已截止，请联系辅导员。', en: 'It is closed.' },
})

beforeEach(async () => {
  await ready
  await choose('zh-CN')
})
afterEach(() => vi.useRealTimers())

describe('an error screen', () => {
  it('says what to do in the chosen language, with the code and one next step', async () => {
    const screen = mount(ErrorScreen, { props: { error }, global })
    expect(screen.text()).toContain('已截止，请联系辅导员。')
    expect(screen.text()).toContain('too_late')
    expect(screen.findAll('button')).toHaveLength(1)
    await screen.find('button').trigger('click')
    expect(screen.emitted('retry')).toHaveLength(1)
    await choose('en')
    expect(screen.text()).toContain('It is closed.')
  })

  it('has a sentence for an error of the page itself', () => {
    const screen = mount(ErrorScreen, { props: { error: new TypeError('x is undefined') }, global })
    expect(screen.text()).not.toContain('undefined')
    expect(screen.find('p').text()).not.toBe('')
  })
})

describe('a countdown', () => {
  it('follows the clock of the server and tells when it is over', async () => {
    vi.useFakeTimers({ now: 0 })
    const now = () => Date.now() + 180_000
    const until = new Date(180_000 + 65_000).toISOString()
    const text = mount(CountdownText, { props: { until, now }, global })
    expect(text.text()).toBe('还剩 1 分 5 秒')
    await vi.advanceTimersByTimeAsync(65_000)
    expect([text.text(), text.emitted('over')?.length]).toEqual(['已截止', 1])
  })

  it('shows the two largest parts', () => {
    expect(durationParts(90_061_000)).toEqual([
      { unit: 'days', n: 1 },
      { unit: 'hours', n: 1 },
    ])
    expect(durationParts(400)).toEqual([{ unit: 'seconds', n: 1 }])
    expect(durationParts(-5)).toEqual([{ unit: 'seconds', n: 0 }])
  })
})

describe('a button', () => {
  it('keeps its name while it is loading, and does nothing then', async () => {
    const button = mount(NamedButton, { props: { loading: false }, slots: { default: '提交' } })
    expect(button.attributes('aria-busy')).toBeUndefined()
    await button.setProps({ loading: true })
    expect([button.text(), button.attributes('aria-busy')]).toEqual(['提交', 'true'])
    await button.trigger('click')
    expect(button.findComponent({ name: 'van-button' }).emitted('click')).toBeUndefined()
    await button.setProps({ loading: false })
    await button.trigger('click')
    expect(button.findComponent({ name: 'van-button' }).emitted('click')).toHaveLength(1)
  })
})

it('a page has one heading, a main landmark and nothing that axe finds', async () => {
  const slots = { default: '<p>内容</p>' }
  const page = mount(PageShell, {
    props: { title: '点名', back: true },
    slots,
    global,
    attachTo: document.body,
  })
  expect(page.findAll('h1').map((each) => each.text())).toEqual(['点名'])
  const { violations } = await axe.run(page.element, { rules: { 'color-contrast': { enabled: false } } })
  expect(violations.map((each) => each.id)).toEqual([])
})
