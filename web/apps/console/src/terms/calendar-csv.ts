/** Days of a year as the API takes them. */
export interface CalendarDays {
  holidays: string[]
  makeup_workdays: string[]
}

/**
 * Read a calendar as CSV with the header `date,kind`; the kind is `holiday` or `makeup_workday`. Lines that are neither
 * are returned by number, from 1 with the header.
 */
export function parseCalendarCsv(text: string): CalendarDays & { faulty: number[] } {
  const days: CalendarDays = { holidays: [], makeup_workdays: [] }
  const faulty: number[] = []
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const cells = line.split(',').map((cell) => cell.trim())
    if (!line.trim() || (index === 0 && cells.join() === 'date,kind')) continue
    const [day = '', kind] = cells
    if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) faulty.push(index + 1)
    else if (kind === 'holiday') days.holidays.push(day)
    else if (kind === 'makeup_workday') days.makeup_workdays.push(day)
    else faulty.push(index + 1)
  }
  return { ...days, faulty }
}

/** The days in a text area: one or several a line, separated by blanks, commas or 、. */
export function parseDays(text: string): string[] {
  return text.split(/[\s,，、;；]+/).filter(Boolean)
}
