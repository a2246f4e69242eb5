/** A duration as parts, the two largest that matter: days and hours, hours and minutes, minutes and seconds. */
export interface DurationPart {
  unit: 'days' | 'hours' | 'minutes' | 'seconds'
  n: number
}

const SECONDS: [DurationPart['unit'], number][] = [
  ['days', 86_400],
  ['hours', 3600],
  ['minutes', 60],
  ['seconds', 1],
]

export function durationParts(milliseconds: number): DurationPart[] {
  let seconds = Math.max(0, Math.ceil(milliseconds / 1000))
  const first = SECONDS.findIndex(([, size]) => seconds >= size)
  const shown = first === -1 ? SECONDS.slice(-1) : SECONDS.slice(first, first + 2)
  return shown.map(([unit, size]) => {
    const n = Math.floor(seconds / size)
    seconds -= n * size
    return { unit, n }
  })
}
