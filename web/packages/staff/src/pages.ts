import { content } from '@dianming/api'

interface Page<T> {
  items: T[]
  next_cursor?: string | null
}

/** Pages that are read at most; a counselor has at most some hundred students. */
const MAX_PAGES = 20

/** All items of a list with cursor pages. */
export async function readAll<T>(
  read: (cursor: string | undefined) => Promise<{ data?: Page<T>; response: Response }>,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  for (let n = 0; n < MAX_PAGES; n += 1) {
    const page = await content(read(cursor))
    items.push(...page.items)
    if (!page.next_cursor) return items
    cursor = page.next_cursor
  }
  return items
}
