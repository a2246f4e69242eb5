import { useI18n } from 'vue-i18n'

const ZONE = 'Asia/Shanghai'
const DAY_MS = 86_400_000

/** Times as people read them, in China's time zone. */
export function useTimes() {
  const { locale } = useI18n()

  function format(at: string | number, options: Intl.DateTimeFormatOptions): string {
    return new Intl.DateTimeFormat(locale.value, { timeZone: ZONE, hourCycle: 'h23', ...options }).format(
      new Date(at),
    )
  }

  const dateTime = (at: string | number) =>
    format(at, { month: 'numeric', day: 'numeric', weekday: 'short', hour: '2-digit', minute: '2-digit' })
  const clockTime = (at: string | number) =>
    format(at, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  const day = (at: string | number) => format(at, { year: 'numeric', month: 'numeric', day: 'numeric' })

  /** A period whose end is exclusive: whole days as days, anything else with times. */
  function period(startsAt: string, endsAt: string): string {
    if (!isMidnight(startsAt) || !isMidnight(endsAt)) return `${dateTime(startsAt)} – ${dateTime(endsAt)}`
    const last = Date.parse(endsAt) - DAY_MS
    return last <= Date.parse(startsAt) ? day(startsAt) : `${day(startsAt)} – ${day(last)}`
  }

  return { dateTime, clockTime, day, period }
}

/** Whether an instant is the start of a day in China, which has no daylight saving time. */
function isMidnight(at: string): boolean {
  return (Date.parse(at) + 8 * 3_600_000) % DAY_MS === 0
}
