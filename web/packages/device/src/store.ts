import { type DBSchema, type IDBPDatabase, openDB } from 'idb'

import type { OutboxItem, StoredReceipt } from './outbox.ts'

interface DeviceDatabase extends DBSchema {
  keys: { key: string; value: CryptoKeyPair }
  outbox: { key: string; value: OutboxItem }
  receipts: { key: string; value: StoredReceipt }
}

/** The browser refuses to store the key: private browsing, lockdown mode, or storage that is switched off. */
export class StorageRefused extends Error {
  override readonly name = 'StorageRefused'
}

const VERSION = 2

let opened: Promise<IDBPDatabase<DeviceDatabase>> | undefined

/** The database of this origin. Rejects with `StorageRefused`. */
export function openStore(): Promise<IDBPDatabase<DeviceDatabase>> {
  opened ??= openDB<DeviceDatabase>('dianming', VERSION, {
    upgrade(database, before) {
      if (before < 1) {
        database.createObjectStore('keys')
        database.createObjectStore('outbox', { keyPath: 'id' })
      }
      if (before < 2) database.createObjectStore('receipts', { keyPath: 'submissionId' })
    },
    blocking(_current, _blocked, event) {
      ;(event.target as IDBDatabase).close() // a newer version of the app in another tab
      opened = undefined
    },
    terminated() {
      opened = undefined
    },
  }).catch((cause: unknown) => {
    opened = undefined
    throw new StorageRefused('IndexedDB cannot be opened', { cause })
  })
  return opened
}

/** Close the database, so that the next call opens it again. */
export async function closeStore(): Promise<void> {
  const database = await opened
  opened = undefined
  database?.close()
}
