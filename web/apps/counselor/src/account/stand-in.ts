const DAY_MS = 86_400_000
/** China has no daylight saving time. */
const OFFSET = '+08:00'

/** The day of an instant in China, as the value of a date field. */
export function dayInChina(atMs: number): string {
  return new Date(atMs + 8 * 3_600_000).toISOString().slice(0, 10)
}

/**
 * The period of a stand-in from the first to the last day, both whole; a first day that has begun starts now.
 * Undefined if a day is missing, the last is before the first, or the period is over.
 */
export function standInPeriod(
  first: string,
  last: string,
  nowMs: number,
): { starts_at: string; ends_at: string } | undefined {
  const start = Date.parse(`${first}T00:00:00${OFFSET}`)
  const end = Date.parse(`${last}T00:00:00${OFFSET}`) + DAY_MS
  if (Number.isNaN(start) || Number.isNaN(end) || end <= Math.max(start, nowMs)) return undefined
  return {
    starts_at: new Date(Math.max(start, nowMs)).toISOString(),
    ends_at: new Date(end).toISOString(),
  }
}
