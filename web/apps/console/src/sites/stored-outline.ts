import type { Outline } from './outline/outline.ts'
import { toOutline } from './outline/outline.ts'

/** A drawn outline that was not filed, and when it was saved. It holds no personal data. */
export interface StoredOutline {
  outline: Outline
  savedAt: string
}

type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

/** The key of the outline that an account draws at its unit: for one site, or for a new one. */
export function outlineKey(accountId: string, unitId: string, siteId: string): string {
  return `dianming.console.outline.${accountId}.${unitId}.${siteId || 'new'}`
}

/** What was saved, if it still is an outline. */
export function readOutline(store: Store, key: string): StoredOutline | undefined {
  try {
    const saved = JSON.parse(store.getItem(key) ?? 'null') as { outline?: unknown; savedAt?: unknown } | null
    const outline = toOutline(saved?.outline)
    return outline && typeof saved?.savedAt === 'string' ? { outline, savedAt: saved.savedAt } : undefined
  } catch {
    return undefined
  }
}

/** Save an outline; without one, delete what was saved. A browser that stores nothing only loses the draft. */
export function writeOutline(store: Store, key: string, outline: Outline | undefined, savedAt: string): void {
  try {
    if (outline) store.setItem(key, JSON.stringify({ outline, savedAt }))
    else store.removeItem(key)
  } catch {
    // Private browsing, or the store is full.
  }
}
