import { content } from '@dianming/api'
import type { StaffSchemas } from '@dianming/api/staff'
import { useAct, useSession } from '@dianming/staff'
import { computed, ref, shallowRef, watch } from 'vue'

import { convertOutline, type Datum } from './outline/datum.ts'
import { type Outline, toOutline } from './outline/outline.ts'
import { drawnBody, fileBody, type OutlineFile, type OutlineIn, textBody } from './outline/source.ts'
import { fromText, toText } from './outline/text.ts'

export const WAYS = ['draw', 'file', 'text'] as const
export type Way = (typeof WAYS)[number]

type Problem = StaffSchemas['OutlineProblem']

/** What the server says about an outline. */
export interface OutlineCheck extends Omit<StaffSchemas['OutlineCheckOut'], 'bbox' | 'problems'> {
  problems: (Omit<Problem, 'place'> & { place: number[] | null })[]
}

/** An outline before it is filed: drawn, from a file or typed, with what the server says about it. */
export function useOutlineDraft() {
  const session = useSession()
  const { isBusy, failure, run } = useAct()
  const way = ref<Way>('draw')
  const datum = ref<Datum>('wgs84')
  const drawn = shallowRef<Outline>()
  const file = shallowRef<OutlineFile>()
  const text = ref('')
  const result = shallowRef<OutlineCheck>()

  const body = computed<OutlineIn | undefined>(() => {
    if (way.value === 'draw') return drawn.value && drawnBody(drawn.value)
    if (way.value === 'file') return file.value && fileBody(file.value, datum.value)
    return textBody(text.value, datum.value)
  })
  watch(body, () => {
    result.value = undefined
    failure.value = undefined
  })

  /** What can be shown on the map, in WGS-84: as the server read it, or as this page reads a text. */
  const preview = computed<Outline | undefined>(() => {
    if (way.value === 'draw') return undefined
    const stored = result.value?.geojson && toOutline(result.value.geojson)
    if (stored) return stored
    const source = way.value === 'text' ? text.value : textOf(file.value)
    const read = fromText(source)
    return read && convertOutline(read, datum.value, 'wgs84')
  })

  /** Ask the server about the outline. Returns whether it can be filed. */
  async function check(): Promise<boolean> {
    const outline = body.value
    if (!outline) return false
    await run(async () => {
      result.value = await content(session.api.POST('/v1/sites/validation', { body: { outline } }))
    })
    return result.value?.valid ?? false
  }

  /** Go on with an outline on the map. */
  function edit(outline: Outline) {
    drawn.value = outline
    way.value = 'draw'
  }

  /** Go on with the drawn outline as text. */
  function write() {
    if (!drawn.value) return
    text.value = toText(drawn.value)
    datum.value = 'wgs84'
    way.value = 'text'
  }

  return { way, datum, drawn, file, text, result, body, preview, isBusy, failure, check, edit, write }
}

function textOf(file: OutlineFile | undefined): string {
  return file?.format === 'geojson' || file?.format === 'csv' ? file.content : ''
}

export type OutlineDraft = ReturnType<typeof useOutlineDraft>
