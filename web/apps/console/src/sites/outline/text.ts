import type { Position } from 'geojson'

import { type Outline, toOutline } from './outline.ts'

const HEADER = ['polygon', 'lon', 'lat'] as const
const DECIMALS = 7 // about 1 cm

function cells(line: string): string[] {
  return line.split(/[,，\t]/).map((each) => each.trim().replace(/^"(.*)"$/, '$1'))
}

/** The vertices of a CSV with the columns polygon, lon and lat as an outline; undefined if it cannot be read. */
export function fromCsv(text: string): Outline | undefined {
  const [head, ...lines] = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => line.trim())
  const columns = cells(head ?? '').map((each) => each.toLowerCase())
  const [name, lon, lat] = HEADER.map((each) => columns.indexOf(each))
  if (name === undefined || lon === undefined || lat === undefined || Math.min(name, lon, lat) < 0)
    return undefined
  const rings = new Map<string, Position[]>()
  for (const line of lines) {
    const row = cells(line)
    const position = [number(row[lon]), number(row[lat])]
    if (!position.every(Number.isFinite)) return undefined
    const ring = rings.get(row[name] ?? '') ?? []
    rings.set(row[name] ?? '', [...ring, position])
  }
  if (!rings.size) return undefined
  return { type: 'MultiPolygon', coordinates: [...rings.values()].map((ring) => [closed(ring)]) }
}

function number(text: string | undefined): number {
  return text ? Number(text) : NaN
}

function closed(ring: Position[]): Position[] {
  const [first, last] = [ring[0], ring.at(-1)]
  if (!first || !last || (first[0] === last[0] && first[1] === last[1])) return ring
  return [...ring, first]
}

/** Whether a CSV can say all of the outline: it has no column for holes. */
export function fitsCsv(outline: Outline): boolean {
  return outline.coordinates.every((polygon) => polygon.length === 1)
}

/** The outline as a CSV of vertices, the closing ones left out. */
export function toCsv(outline: Outline): string {
  const rows = outline.coordinates.flatMap(([ring = []], index) =>
    ring.slice(0, -1).map(([lon = 0, lat = 0]) => [index + 1, round(lon), round(lat)].join(',')),
  )
  return [HEADER.join(','), ...rows, ''].join('\n')
}

function round(degrees: number): number {
  return Number(degrees.toFixed(DECIMALS))
}

/** The outline as text that a person can read and change: a CSV, or GeoJSON if there are holes. */
export function toText(outline: Outline): string {
  if (fitsCsv(outline)) return toCsv(outline)
  const coordinates = outline.coordinates.map((polygon) =>
    polygon.map((ring) => ring.map(([lon = 0, lat = 0]) => [round(lon), round(lat)])),
  )
  return JSON.stringify({ type: 'MultiPolygon', coordinates })
}

/** Whether a text is meant as GeoJSON. Otherwise it is a CSV. */
export function isJson(text: string): boolean {
  return /^[\uFEFF\s]*\{/.test(text)
}

/** A typed or pasted outline, or undefined while it cannot be read. */
export function fromText(text: string): Outline | undefined {
  if (!isJson(text)) return fromCsv(text)
  const document = parseJson(text)
  return document && toOutline(document)
}

/** A JSON object, or undefined. */
export function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    const document: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    return typeof document === 'object' && document !== null
      ? (document as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** A position that was typed as "lon, lat", or undefined. */
export function fromPair(text: string): Position | undefined {
  const [lon = NaN, lat = NaN, ...rest] = text
    .split(/[\s,，;；]+/)
    .filter(Boolean)
    .map(Number)
  if (rest.length || !Number.isFinite(lon) || !Number.isFinite(lat)) return undefined
  return Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : undefined
}
