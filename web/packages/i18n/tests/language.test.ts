import { beforeEach, describe, expect, it, vi } from 'vitest'

import { chosenLanguage, createAppI18n } from '../src/index.ts'

const words = { zhCN: { own: '自己的' }, loadEnglish: async () => ({ own: 'own' }) }

beforeEach(() => localStorage.clear())

describe('the language', () => {
  it.each([
    [['zh-CN', 'en'], 'zh-CN'],
    [['fr-FR', 'en-GB', 'zh-CN'], 'en'],
    [['fr-FR'], 'zh-CN'],
  ])('of a browser with %j is %s', (languages, expected) => {
    vi.spyOn(navigator, 'languages', 'get').mockReturnValue(languages)
    expect(chosenLanguage()).toBe(expected)
  })

  it('is kept, and changes shared and own words', async () => {
    vi.spyOn(navigator, 'languages', 'get').mockReturnValue(['zh-CN'])
    const { i18n, ready, choose } = createAppI18n(words)
    await ready
    expect([i18n.global.t('own'), i18n.global.t('common.retry')]).toEqual(['自己的', '再试一次'])
    await choose('en')
    expect([i18n.global.t('own'), i18n.global.t('common.retry')]).toEqual(['own', 'Try again'])
    expect([document.documentElement.lang, chosenLanguage()]).toEqual(['en', 'en'])
  })

  it('is Chinese if English cannot be loaded', async () => {
    localStorage.setItem('dianming.language', 'en')
    const { ready, language } = createAppI18n({
      ...words,
      loadEnglish: () => Promise.reject(new Error('offline')),
    })
    await ready
    expect(language()).toBe('zh-CN')
  })

  it('puts values into their places, also twice, and numbers too', async () => {
    localStorage.setItem('dianming.language', 'zh-CN')
    const { i18n, ready } = createAppI18n({
      zhCN: { own: '{name}：{n} 次，共 {n} 次', nested: { each: '{n} 分钟' } },
      loadEnglish: async () => ({ own: '{name}: {n}', nested: { each: '{n} minutes' } }),
    })
    await ready
    const { t } = i18n.global
    expect(t('own', { name: '张三', n: 2 })).toBe('张三：2 次，共 2 次')
    expect([t('nested.each', 3), t('nested.each', { n: 0 })]).toEqual(['3 分钟', '0 分钟'])
  })
})
