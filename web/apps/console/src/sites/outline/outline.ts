import type { MultiPolygon, Polygon, Position } from 'geojson'

/** The outline of a site: its parts, each with an outer ring and holes, in degrees. */
export type Outline = MultiPolygon

const EARTH_RADIUS_M = 6_371_007.2
const RADIANS = Math.PI / 180

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function polygonsOf(document: unknown): Polygon['coordinates'][] {
  if (!isObject(document)) return []
  if (document['type'] === 'FeatureCollection' && Array.isArray(document['features']))
    return document['features'].flatMap(polygonsOf)
  if (document['type'] === 'Feature') return polygonsOf(document['geometry'])
  const { type, coordinates } = document
  if (!Array.isArray(coordinates)) return []
  const polygons: unknown[] = type === 'Polygon' ? [coordinates] : type === 'MultiPolygon' ? coordinates : []
  return polygons.filter(isPolygon)
}

function isPolygon(value: unknown): value is Polygon['coordinates'] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((ring) => Array.isArray(ring) && ring.every(isPosition))
  )
}

function isPosition(value: unknown): value is Position {
  return Array.isArray(value) && Number.isFinite(value[0]) && Number.isFinite(value[1])
}

/** All polygons of a GeoJSON object as one outline, or undefined if there is none. Other features are left out. */
export function toOutline(document: unknown): Outline | undefined {
  const coordinates = polygonsOf(document)
  return coordinates.length ? { type: 'MultiPolygon', coordinates } : undefined
}

/** The outline with every position changed. */
export function mapPositions(outline: Outline, change: (position: Position) => Position): Outline {
  return {
    type: 'MultiPolygon',
    coordinates: outline.coordinates.map((polygon) => polygon.map((ring) => ring.map(change))),
  }
}

/** Square metres of a ring on a sphere, without sign. */
function ringArea(ring: readonly Position[]): number {
  let sum = 0
  ring.forEach(([lon = 0, lat = 0], index) => {
    const [nextLon = 0, nextLat = 0] = ring[(index + 1) % ring.length] ?? []
    sum += (nextLon - lon) * RADIANS * (2 + Math.sin(lat * RADIANS) + Math.sin(nextLat * RADIANS))
  })
  return Math.abs((sum * EARTH_RADIUS_M ** 2) / 2)
}

/** Numbers of an outline; the area in square metres is an estimate on a sphere, within 1 %. */
export interface OutlineFigures {
  parts: number
  holes: number
  vertices: number
  areaM2: number
}

export function measure(outline: Outline): OutlineFigures {
  const figures: OutlineFigures = { parts: 0, holes: 0, vertices: 0, areaM2: 0 }
  for (const [shell = [], ...holes] of outline.coordinates) {
    figures.parts += 1
    figures.holes += holes.length
    figures.areaM2 += ringArea(shell)
    for (const hole of holes) figures.areaM2 -= ringArea(hole)
    for (const ring of [shell, ...holes]) figures.vertices += Math.max(0, ring.length - 1)
  }
  return figures
}

/** Whether two outlines have the same rings. */
export function isSameOutline(one: Outline | undefined, other: Outline | undefined): boolean {
  return JSON.stringify(one?.coordinates) === JSON.stringify(other?.coordinates)
}
