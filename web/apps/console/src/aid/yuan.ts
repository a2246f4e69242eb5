/** An amount in yuan with two decimals and separators; amounts of the API are whole fen (1 yuan = 100 fen). */
export function yuan(fen: number, locale: string): string {
  return new Intl.NumberFormat(locale, {
    style: 'currency',
    currency: 'CNY',
    currencyDisplay: 'narrowSymbol',
  }).format(fen / 100)
}
