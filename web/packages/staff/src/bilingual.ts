import { computed } from 'vue'
import { useI18n } from 'vue-i18n'

/** A sentence of the server in both languages. */
export interface Bilingual {
  zh: string
  en: string
}

/** The chosen language of what the server says in both. */
export function useBilingual() {
  const { locale } = useI18n()
  const isEnglish = computed(() => locale.value.startsWith('en'))

  function pick(zh: string, en: string): string {
    return isEnglish.value ? en : zh
  }

  function say(text: Bilingual): string {
    return pick(text.zh, text.en)
  }

  return { isEnglish, pick, say }
}
