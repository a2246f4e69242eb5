const DAY_MS = 86_400_000

/** Whole days until a deadline; below zero when it is over. */
export function daysLeft(dueAt: string, nowMs: number): number {
  return Math.floor((Date.parse(dueAt) - nowMs) / DAY_MS)
}
