import { describe, expect, it } from 'vitest'

import { gridLines, gridStep } from '../src/sites/map/graticule.ts'
import { convertOutline, convertPosition } from '../src/sites/outline/datum.ts'
import {
  isSameOutline,
  mapPositions,
  measure,
  type Outline,
  toOutline,
} from '../src/sites/outline/outline.ts'
import { drawnBody, formatOf, readOutlineFile, textBody } from '../src/sites/outline/source.ts'
import { fromPair, fromText, toText } from '../src/sites/outline/text.ts'
import { change, defaultComparison } from '../src/sites/site-state.ts'

const square = (west: number, south: number, side: number) => [
  [west, south],
  [west + side, south],
  [west + side, south + side],
  [west, south + side],
  [west, south],
]
const WITH_HOLE: Outline = {
  type: 'MultiPolygon',
  coordinates: [[square(113, 34, 0.01), square(113.002, 34.002, 0.002)], [square(113.02, 34, 0.01)]],
}
const rounded = (position: number[]) => position.map((each) => Number(each.toFixed(7)))
const CSV =
  'polygon,lon,lat\n北,113,34\n北,113.01,34\n北,113.01,34.01\n南,113.02,33\n南,113.03,33\n南,113.03,33.01\n'

describe('the datum of an outline', () => {
  // The values of geo/datum.py for the same points.
  it.each([
    ['gcj02', 113.53738775707127, 34.81927072831733],
    ['bd09', 113.54383986329503, 34.82548462708889],
  ] as const)('moves a point of %s by what the server moves it', (datum, lon, lat) => {
    const [x = 0, y = 0] = convertPosition([lon, lat], datum, 'wgs84')
    const [backLon, backLat] = convertPosition([x, y], 'wgs84', datum)
    expect(backLon).toBeCloseTo(lon, 5)
    expect(backLat).toBeCloseTo(lat, 5)
    expect(x).toBeCloseTo(113.5312, 5)
    expect(y).toBeCloseTo(34.8203, 5)
  })

  it('converts every ring, holes too, and nothing within one datum', () => {
    const moved = convertOutline(WITH_HOLE, 'wgs84', 'gcj02')
    const hole = moved.coordinates[0]?.[1]?.[0]
    expect(hole?.[0]).not.toBe(113.002)
    expect(isSameOutline(convertOutline(WITH_HOLE, 'wgs84', 'wgs84'), WITH_HOLE)).toBe(true)
  })
})

describe('an outline', () => {
  it('has the polygons of all features, with holes, and leaves out points', () => {
    const features = [
      { type: 'Feature', geometry: { type: 'Polygon', coordinates: WITH_HOLE.coordinates[0] } },
      { type: 'Feature', geometry: { type: 'Point', coordinates: [113, 34] } },
      { type: 'Feature', geometry: null },
      { type: 'Feature', geometry: { type: 'MultiPolygon', coordinates: [WITH_HOLE.coordinates[1]] } },
    ]
    expect(toOutline({ type: 'FeatureCollection', features })).toEqual(WITH_HOLE)
    expect(toOutline({ type: 'Polygon', coordinates: [[['a', 1]]] })).toBeUndefined()
    expect(toOutline(null)).toBeUndefined()
  })

  it('is measured without its holes', () => {
    const figures = measure(WITH_HOLE)
    expect(figures).toMatchObject({ parts: 2, holes: 1, vertices: 12 })
    // 0.01 degrees at 34 degrees north are 922 m by 1,112 m.
    const full = 922 * 1112
    expect(figures.areaM2 / (2 * full - full / 25)).toBeCloseTo(1, 2)
  })
})

describe('typed coordinates', () => {
  it('are grouped by polygon, and their rings closed', () => {
    const outline = fromText(CSV)
    expect(outline?.coordinates).toHaveLength(2)
    expect(outline?.coordinates[0]?.[0]).toEqual([
      [113, 34],
      [113.01, 34],
      [113.01, 34.01],
      [113, 34],
    ])
  })

  it.each(['', 'lon,lat\n1,2', 'polygon,lon,lat\na,x,34', 'polygon,lon,lat\na,113,', '{"type":'])(
    'are not guessed: %j',
    (text) => {
      expect(fromText(text)).toBeUndefined()
    },
  )

  it('survive the way to text and back, with and without holes', () => {
    for (const outline of [WITH_HOLE, fromText(CSV)])
      expect(outline && fromText(toText(outline))).toEqual(outline && mapPositions(outline, rounded))
  })

  it('are sent as CSV or GeoJSON in the chosen datum', () => {
    expect(textBody(CSV, 'gcj02')).toEqual({ format: 'csv', datum: 'gcj02', csv: CSV })
    expect(textBody(toText(WITH_HOLE), 'bd09')).toMatchObject({ format: 'geojson', datum: 'bd09' })
    expect(textBody(' ', 'wgs84')).toBeUndefined()
    expect(textBody('{"type":', 'wgs84')).toBeUndefined()
    expect(drawnBody(WITH_HOLE)).toMatchObject({ format: 'geojson', datum: 'wgs84' })
  })

  it('of one place are a longitude and a latitude', () => {
    expect(fromPair('113.5，34.8')).toEqual([113.5, 34.8])
    for (const text of ['113.5', '34.8,113.5', 'a,b', '1,2,3']) expect(fromPair(text)).toBeUndefined()
  })
})

describe('a file', () => {
  it('is known by its name', () => {
    expect(['a.GeoJSON', 'a.json', 'a.csv', 'a.b.kml', 'a.zip', 'a.kmz', 'a'].map(formatOf)).toEqual([
      'geojson',
      'geojson',
      'csv',
      'kml',
      'shapefile',
      undefined,
      undefined,
    ])
  })

  it('is read as text, an archive of any size as base64', async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 256)
    const archive = await readOutlineFile(new File([bytes], 'site.zip'))
    expect(archive?.format).toBe('shapefile')
    expect(Buffer.from(archive?.content ?? '', 'base64').equals(Buffer.from(bytes))).toBe(true)
    expect(await readOutlineFile(new File([CSV], 'site.csv'))).toMatchObject({ format: 'csv', content: CSV })
    expect(await readOutlineFile(new File([CSV], 'site.dwg'))).toBeUndefined()
  })
})

describe('the grid of the map', () => {
  it('is as fine as is readable', () => {
    expect(gridStep(0.00001)).toBe(0.002)
    expect(gridStep(10)).toBe(10)
    expect(gridLines(113.0005, 113.0065, 0.002)).toEqual([113.002, 113.004, 113.006])
  })
})

describe('the comparison of versions', () => {
  const version = (n: number, status: string) => ({ id: `v${n}`, version: n, status })
  const compared = (versions: object[], effective: string | null) => {
    const { older, newer } = defaultComparison({ versions, effective_version_id: effective } as Parameters<
      typeof defaultComparison
    >[0])
    return [older?.id, newer?.id]
  }

  it('starts with the filing to be decided against the version in force', () => {
    const versions = [version(3, 'filed'), version(2, 'rejected'), version(1, 'approved')]
    expect(compared(versions, 'v1')).toEqual(['v1', 'v3'])
    expect(compared(versions, null)).toEqual(['v2', 'v3'])
    expect(compared([version(2, 'approved'), version(1, 'approved')], 'v2')).toEqual(['v1', 'v2'])
    expect(compared([version(1, 'filed')], null)).toEqual([undefined, 'v1'])
  })

  it('says by how many percent the area changed', () => {
    expect(change(100, 112)).toBeCloseTo(12)
    expect(change(0, 112)).toBeUndefined()
  })
})
