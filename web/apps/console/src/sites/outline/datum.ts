import type { StaffSchemas } from '@dianming/api/staff'
import type { Position } from 'geojson'
import gcoord from 'gcoord'

import { type Outline, mapPositions } from './outline.ts'

export type Datum = StaffSchemas['Datum']
export const DATUMS: readonly Datum[] = ['wgs84', 'gcj02', 'bd09']

const SYSTEMS = { wgs84: gcoord.WGS84, gcj02: gcoord.GCJ02, bd09: gcoord.BD09 } as const

/** A position in another datum, in degrees, longitude first. For display: what is filed is converted by the server. */
export function convertPosition(position: Position, source: Datum, target: Datum): Position {
  const [lon = NaN, lat = NaN] = position
  if (source === target) return [lon, lat]
  return gcoord.transform([lon, lat], SYSTEMS[source], SYSTEMS[target])
}

/** An outline in another datum. */
export function convertOutline(outline: Outline, source: Datum, target: Datum): Outline {
  return mapPositions(outline, (position) => convertPosition(position, source, target))
}
