import type { StaffSchemas } from '@dianming/api/staff'

import type { Datum } from './datum.ts'
import type { Outline } from './outline.ts'
import { isJson, parseJson } from './text.ts'

export type OutlineIn = StaffSchemas['FilingIn']['outline']
export type OutlineFormat = OutlineIn['format']

/** The content of a chosen file, as the API takes it. */
export interface OutlineFile {
  name: string
  format: OutlineFormat
  /** The text, or the base64 of an archive. */
  content: string
}

const FORMATS: Record<string, OutlineFormat> = {
  geojson: 'geojson',
  json: 'geojson',
  csv: 'csv',
  kml: 'kml',
  zip: 'shapefile',
}
export const FILE_TYPES = Object.keys(FORMATS)
  .map((each) => `.${each}`)
  .join(',')

/** The format by the name of a file, or undefined for another kind of file. */
export function formatOf(name: string): OutlineFormat | undefined {
  return FORMATS[name.split('.').at(-1)?.toLowerCase() ?? '']
}

const CHUNK = 0x8000

/** Bytes in base64, in pieces, because a call has a limited number of arguments. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += CHUNK)
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK))
  return btoa(binary)
}

/** Read a chosen file; undefined if its kind is not known. */
export async function readOutlineFile(file: File): Promise<OutlineFile | undefined> {
  const format = formatOf(file.name)
  if (!format) return undefined
  const content =
    format === 'shapefile' ? toBase64(new Uint8Array(await file.arrayBuffer())) : await file.text()
  return { name: file.name, format, content }
}

/** The body for a file in a datum; undefined for text that is no JSON object though it should be. */
export function fileBody(file: Pick<OutlineFile, 'format' | 'content'>, datum: Datum): OutlineIn | undefined {
  const { format, content } = file
  if (format === 'csv') return { format, datum, csv: content }
  if (format === 'kml') return { format, datum, kml: content }
  if (format === 'shapefile') return { format, datum, zip_base64: content }
  const geojson = parseJson(content)
  return geojson && { format, datum, geojson }
}

/** The body for a typed or pasted outline. */
export function textBody(text: string, datum: Datum): OutlineIn | undefined {
  if (!text.trim()) return undefined
  return fileBody({ format: isJson(text) ? 'geojson' : 'csv', content: text }, datum)
}

/** The body for an outline that was drawn on the map, which is in WGS-84. */
export function drawnBody(outline: Outline): OutlineIn {
  return { format: 'geojson', datum: 'wgs84', geojson: { ...outline } }
}
