import type { StaffSchemas } from '@dianming/api/staff'

export type LaunchBody = StaffSchemas['LaunchIn']
export type Kind = LaunchBody['kind']

/** A launch as it is typed: times are clock times in China, lists are texts. */
export interface LaunchDraft {
  kind: Kind
  title: string
  /** Empty: the notices go out at the launch. */
  notifyAt: string
  opensAt: string
  closesAt: string
  unitIds: string[]
  classIds: string[]
  grades: string
  majors: string
  sample: 'all' | 'size' | 'share'
  sampleSize: number
  /** Percent. */
  samplePercent: number
  seed: string
}

/** China has one time zone without daylight saving time. */
const OFFSET = '+08:00'
const OFFSET_MS = 8 * 3_600_000
const MINUTE_MS = 60_000

export function emptyDraft(kind: Kind): LaunchDraft {
  return {
    kind,
    title: '',
    notifyAt: '',
    opensAt: '',
    closesAt: '',
    unitIds: [],
    classIds: [],
    grades: '',
    majors: '',
    sample: 'all',
    sampleSize: 200,
    samplePercent: 10,
    seed: '',
  }
}

/** The value of a field for local times, from an instant: the clock time in China, to the minute. */
export function toLocal(instantMs: number): string {
  return new Date(instantMs + OFFSET_MS).toISOString().slice(0, 16)
}

/** The instant of such a value, as the API takes it. */
export function toInstant(local: string): string {
  return `${local}:00${OFFSET}`
}

/** A window that opens some minutes after `nowMs`, on a full minute. */
export function quickWindow(nowMs: number, startMinutes: number, lengthMinutes: number) {
  const opens = Math.ceil(nowMs / MINUTE_MS) * MINUTE_MS + startMinutes * MINUTE_MS
  return { opensAt: toLocal(opens), closesAt: toLocal(opens + lengthMinutes * MINUTE_MS) }
}

function words(text: string): string[] {
  return text.split(/[\s,，、;；]+/).filter(Boolean)
}

/** The words of the grades that are no years. */
export function badGrades(text: string): string[] {
  return words(text).filter((each) => !/^\d{4}$/.test(each))
}

/** The body of the launch and of its preview. `seed` is the one that the preview drew. */
export function toBody(draft: LaunchDraft, seed?: string | null): LaunchBody {
  const drawn = draft.seed.trim() || seed
  const sample = {
    all: null,
    size: { size: draft.sampleSize },
    share: { share: draft.samplePercent / 100 },
  }[draft.sample]
  return {
    kind: draft.kind,
    title: draft.title.trim(),
    opens_at: toInstant(draft.opensAt),
    closes_at: toInstant(draft.closesAt),
    ...(draft.notifyAt && { notify_at: toInstant(draft.notifyAt) }),
    audience: {
      unit_ids: draft.unitIds,
      class_ids: draft.classIds,
      grades: words(draft.grades).map(Number),
      majors: words(draft.majors),
      programmes: [],
      sample,
    },
    ...(sample && drawn && { seed: drawn }),
  }
}
