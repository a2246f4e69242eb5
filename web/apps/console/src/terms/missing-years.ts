/**
 * The years whose working days are not known but needed soon: this year, and those of the terms that are not over.
 * Deadlines in such a year cannot be computed, and fail.
 */
export function missingYears(
  known: readonly number[],
  terms: readonly { starts_on: string; ends_on: string }[],
  today: string,
): number[] {
  const needed = new Set([year(today)])
  for (const term of terms) {
    if (term.ends_on < today) continue
    for (let each = Math.max(year(today), year(term.starts_on)); each <= year(term.ends_on); each++)
      needed.add(each)
  }
  return [...needed].filter((each) => !known.includes(each)).sort((a, b) => a - b)
}

function year(day: string): number {
  return Number(day.slice(0, 4))
}

/** Today in China, as the API writes days. */
export function today(now = new Date()): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai' }).format(now)
}
