import type { StaffSchemas } from '@dianming/api/staff'

export type Curve = StaffSchemas['CurveOut']
export type Point = StaffSchemas['CurvePointOut']
export type Counts = Omit<Point, 'at'>

const COUNTED = ['present', 'missed', 'excused', 'undetermined'] as const

function isSame(a: Counts, b: Counts): boolean {
  return COUNTED.every((key) => a[key] === b[key])
}

/**
 * A curve with the newest counts of the stream at its end. Within one step of the curve the newest point replaces the one before,
 * so an open page does not collect points.
 */
export function withNewest(live: readonly Point[], at: string, counts: Counts, stepSeconds: number): Point[] {
  const { present, missed, excused, undetermined } = counts
  const point: Point = { at, present, missed, excused, undetermined }
  const before = live.at(-2) ?? live.at(-1)
  const isSoon = live.length > 1 && before && Date.parse(at) - Date.parse(before.at) < stepSeconds * 1000
  return isSoon ? [...live.slice(0, -1), point] : [...live, point]
}

/** The points of the server's curve, then those of the stream that are newer. */
export function joinPoints(curve: readonly Point[], live: readonly Point[]): Point[] {
  const last = curve.at(-1)
  const newer = last ? live.filter((each) => Date.parse(each.at) > Date.parse(last.at)) : live
  return [...curve, ...newer]
}

/** How many students have an outcome. */
export function doneOf(counts: Counts): number {
  return COUNTED.reduce((sum, key) => sum + counts[key], 0)
}

/** The points at which the counts differ from the point before; the first and the last are always among them. */
export function changedPoints(points: readonly Point[]): Point[] {
  return points.filter((each, index) => {
    const before = points[index - 1]
    return !before || index === points.length - 1 || !isSame(each, before)
  })
}
