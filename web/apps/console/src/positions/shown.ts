import type { StaffSchemas } from '@dianming/api/staff'

export type ShownPositions = StaffSchemas['ShownPositionsOut']

/** A fix in a table: which check-in it belongs to, when it was taken, where, and how accurate. */
export interface FixRow {
  key: string
  checkIn: number
  takenAt: string
  place: string
  accuracy: string
}

const DIGITS = 5

/** The fixes of all check-ins, in their order; check-ins are numbered from one. */
export function fixRows({ check_ins: checkIns }: ShownPositions): FixRow[] {
  return checkIns.flatMap((checkIn, index) =>
    checkIn.fixes.map((fix, number) => ({
      key: `${checkIn.submission_id}-${number}`,
      checkIn: index + 1,
      takenAt: fix.taken_at,
      place: `${fix.lat.toFixed(DIGITS)}, ${fix.lon.toFixed(DIGITS)}`,
      accuracy: `±${Math.round(fix.accuracy_m)}\u00a0m`,
    })),
  )
}

const PERCENT = 100

/** A probability as a percentage with one decimal; what is not quite 0 or 100 is not written so. */
export function asPercent(probability: number): string {
  const percent = probability * PERCENT
  if (probability > 0 && percent < 0.1) return '<0.1%'
  if (probability < 1 && percent > 99.9) return '>99.9%'
  return `${percent.toFixed(1)}%`
}
