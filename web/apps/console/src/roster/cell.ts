/** Where a finding is: the letter of the column and the row, as a spreadsheet names a cell. */
export function cellName(finding: { letter: string; row: number }): string {
  return `${finding.letter}${finding.row}`
}

/** The name of the part of the page that shows a finding, so that a link can lead to it. */
export function anchorOf(finding: { sheet: string; letter: string; row: number; code: string }): string {
  return `cell-${finding.sheet.replaceAll(' ', '_')}-${finding.letter}${finding.row}-${finding.code}`
}
