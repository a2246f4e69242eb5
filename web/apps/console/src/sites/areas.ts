import { useI18n } from 'vue-i18n'

const KM2 = 1_000_000

/** Areas as people read them: square metres, from one square kilometre up in square kilometres. */
export function useAreas() {
  const { t, locale } = useI18n()

  function area(squareMetres: number): string {
    const isLarge = squareMetres >= KM2
    const n = new Intl.NumberFormat(locale.value, { maximumFractionDigits: isLarge ? 3 : 0 }).format(
      isLarge ? squareMetres / KM2 : squareMetres,
    )
    return t(isLarge ? 'sites.km2' : 'sites.m2', { n })
  }

  function percent(value: number): string {
    return new Intl.NumberFormat(locale.value, { maximumFractionDigits: 1, signDisplay: 'always' }).format(
      value,
    )
  }

  return { area, percent }
}
