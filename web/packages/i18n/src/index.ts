import { createI18n, type MessageContext } from 'vue-i18n'

import { zhCN } from './zh-CN.ts'

export type { SharedWords } from './zh-CN.ts'

/** The languages of the apps: Chinese first. */
export const LANGUAGES = { 'zh-CN': '中文', en: 'English' } as const
export type Language = keyof typeof LANGUAGES

const STORED = 'dianming.language'
const FIRST: Language = 'zh-CN'

/** Messages of an app, nested by topic. */
export interface Words {
  [key: string]: string | Words
}

/** The words of one app: Chinese at once, English when it is chosen. */
export interface AppWords<T extends Words> {
  zhCN: T
  loadEnglish(): Promise<T>
}

/** The chosen language; without a choice English only if the browser prefers it to Chinese. */
export function chosenLanguage(): Language {
  const stored = localStorage.getItem(STORED)
  if (stored !== null && stored in LANGUAGES) return stored as Language
  const preferred = navigator.languages.find((each) => /^(?:zh|en)\b/.test(each))
  return preferred?.startsWith('en') ? 'en' : FIRST
}

/** The language that the page is in now, for requests outside of components. */
export function currentLanguage(): Language {
  const { lang } = document.documentElement
  return lang in LANGUAGES ? (lang as Language) : FIRST
}

type CompiledWords = { [key: string]: ((context: MessageContext) => string) | CompiledWords }

/**
 * Words as message functions of vue-i18n: `{name}` is the place of a value. The apps use none of vue-i18n's other syntax
 * (plurals, links, literals), so its compiler, 9 kB after compression, is left out of the build.
 */
export function compileWords(words: Words): CompiledWords {
  const compiled = Object.entries(words).map(([key, value]) => [
    key,
    typeof value === 'string' ? compileMessage(value) : compileWords(value),
  ])
  return Object.fromEntries(compiled) as CompiledWords
}

function compileMessage(message: string) {
  return ({ named }: MessageContext): string =>
    message.replace(/\{(\w+)\}/g, (_, name: string) => String(named(name) ?? ''))
}

/**
 * Create the i18n of an app, with the shared words and its own. `ready` resolves when the chosen language is loaded; if it
 * cannot be loaded, the app is in Chinese.
 */
export function createAppI18n<T extends Words>(words: AppWords<T>) {
  const i18n = createI18n({
    legacy: false,
    locale: FIRST as Language,
    fallbackLocale: FIRST,
    messages: { [FIRST]: compileWords({ ...zhCN, ...words.zhCN }) } as Record<string, CompiledWords>,
  })

  /** Switch the language, and keep the choice on this device. */
  async function choose(language: Language): Promise<void> {
    localStorage.setItem(STORED, language)
    await apply(language)
  }

  async function apply(language: Language): Promise<void> {
    const { locale, availableLocales, setLocaleMessage } = i18n.global
    if (!availableLocales.includes(language)) {
      const [{ en }, own] = await Promise.all([import('./en.ts'), words.loadEnglish()])
      setLocaleMessage(language, compileWords({ ...en, ...own }))
    }
    locale.value = language
    document.documentElement.lang = language
  }

  const ready = apply(chosenLanguage()).catch(() => apply(FIRST))
  return { i18n, ready, choose, language: () => i18n.global.locale.value as Language }
}

export type AppI18n = ReturnType<typeof createAppI18n>
