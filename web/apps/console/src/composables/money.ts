import { useI18n } from 'vue-i18n'

/** Amounts, which the API has in fen, in yuan with two decimals. */
export function useMoney() {
  const { locale } = useI18n()

  function yuan(fen: number): string {
    const format = new Intl.NumberFormat(locale.value, {
      style: 'currency',
      currency: 'CNY',
      minimumFractionDigits: 2,
    })
    return format.format(fen / 100)
  }

  return { yuan }
}
