/** How far a unit is, for the map: the least share of each band in percent, its colour, and that of the text on it. */
export const BANDS = [
  { name: 'late', from: 0, colour: '#a3231b', text: '#ffffff', dashes: '2 6' },
  { name: 'half', from: 50, colour: '#9a4a00', text: '#ffffff', dashes: '8 6' },
  { name: 'most', from: 80, colour: '#0b57a4', text: '#ffffff', dashes: '16 4' },
  { name: 'done', from: 95, colour: '#1b6b3a', text: '#ffffff', dashes: 'none' },
] as const

export type Band = (typeof BANDS)[number]

/** The band of a share in percent. */
export function bandOf(share: number): Band {
  return BANDS.filter((each) => share >= each.from).at(-1) ?? BANDS[0]
}
