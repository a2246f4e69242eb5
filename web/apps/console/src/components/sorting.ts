/** A column whose rows the API can sort. `sort` is the API's name, with `-` in front if the first press sorts descending. */
export interface SortableColumn {
  sort?: string
}

export type Direction = 'ascending' | 'descending' | 'none'

/** The value of `aria-sort`: none for a column that could be sorted, undefined for one that cannot. */
export function directionOf(column: SortableColumn, sort: string | undefined): Direction | undefined {
  if (!column.sort) return undefined
  if (!sort || bare(sort) !== bare(column.sort)) return 'none'
  return sort.startsWith('-') ? 'descending' : 'ascending'
}

/** The order after a press on the head of a column: its own first, then the reverse. */
export function sortAfterPress(column: SortableColumn, sort: string | undefined): string {
  const own = column.sort ?? ''
  return sort === own ? reversed(own) : own
}

function bare(sort: string): string {
  return sort.replace(/^-/, '')
}

function reversed(sort: string): string {
  return sort.startsWith('-') ? bare(sort) : `-${sort}`
}
