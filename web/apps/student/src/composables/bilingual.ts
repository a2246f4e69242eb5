import { useI18n } from 'vue-i18n'

interface Sentence {
  zh: string
  en: string
}

/** Choose the sentence of the API in the user's language. */
export function useBilingual() {
  const { locale } = useI18n()
  const isEnglish = () => locale.value === 'en'
  const say = (sentence: Sentence) => (isEnglish() ? sentence.en : sentence.zh)
  return { isEnglish, say }
}
