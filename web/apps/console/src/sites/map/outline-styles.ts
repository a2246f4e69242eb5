import type { PathOptions } from 'leaflet'
import type { Position } from 'geojson'

import type { Outline } from '../outline/outline.ts'

/** A square of a map with a number, in WGS-84. `share` of the largest number sets how dark it is. */
export interface MapCell {
  west: number
  south: number
  east: number
  north: number
  share: number
  label: string
}

export type OutlineStyle = 'old' | 'new' | 'drawn'

/** An outline on a map, in WGS-84. */
export interface MapOutline {
  outline: Outline
  style: OutlineStyle
  label: string
}

/** A marked place on a map, in WGS-84. */
export interface MapPlace {
  position: Position
  label: string
}

/** A measured position on a map, in WGS-84, with the radius of its circle of 95 % in metres. */
export interface MapFix {
  position: Position
  accuracyM: number
  label: string
  isLabelled: boolean
}

/** Line and colour of the outlines; the lines differ too, for people who do not tell the colours apart. */
export const STYLES: Record<OutlineStyle, { path: PathOptions; dashes: string }> = {
  old: { path: { color: '#4a525c', weight: 3, dashArray: '8 6', fillOpacity: 0.06 }, dashes: '8 6' },
  new: { path: { color: '#0b5394', weight: 3, fillOpacity: 0.15 }, dashes: 'none' },
  drawn: { path: { color: '#9a4a00', weight: 3, fillOpacity: 0.15 }, dashes: 'none' },
}
