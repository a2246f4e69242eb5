import { useI18n } from 'vue-i18n'

import type { Missing } from '../live/missing.ts'
import { lastCode, reasonGroup } from '../live/reasons.ts'

/** Short words for reason codes. */
export function useReasonWords() {
  const { t } = useI18n()

  function words(code: string): string {
    const group = reasonGroup(code)
    return group ? t(`reason.${group}`) : t('reason.unknown', { code })
  }

  return { words, lastWords: (row: Missing) => words(lastCode(row)) }
}
