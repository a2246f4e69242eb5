import { useI18n } from 'vue-i18n'

const ZONE = 'Asia/Shanghai'
type When = string | Date

/** Dates and times in the user's language, always in the time of the school. */
export function useTimes() {
  const { locale } = useI18n()
  const format = (at: When, options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(locale.value, { timeZone: ZONE, ...options }).format(new Date(at))

  return {
    /** 20:13:05 */
    clock: (at: When) =>
      format(at, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }),
    /** 11月30日 20:13 */
    dateTime: (at: When) =>
      format(at, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
    /** 2026年11月30日 */
    day: (at: When) => format(at, { year: 'numeric', month: 'long', day: 'numeric' }),
  }
}

/** The day of an instant in the time of the school, as `2026-11-30`. */
export function localDay(atMs: number): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE }).format(new Date(atMs))
}
