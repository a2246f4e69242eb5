import { type DBSchema, type IDBPDatabase, openDB } from 'idb'

import type { OutboxItem } from './outbox.ts'

interface DeviceDatabase extends DBSchema {
  keys: { key: string; value: CryptoKeyPair }
  outbox: { key: string; value: OutboxItem }
}

/** The browser refuses to store the key: private browsing, lockdown mode, or storage that is switched off. */
export class StorageRefused extends Error {
  override readonly name = 'StorageRefused'
}

let opened: Promise<IDBPDatabase<DeviceDatabase>> | undefined

/** The database of this origin. Rejects with `StorageRefused`. */
export function openStore(): Promise<IDBPDatabase<DeviceDatabase>> {
  opened ??= openDB<DeviceDatabase>('dianming', 1, {
    upgrade(database) {
      database.createObjectStore('keys')
      database.createObjectStore('outbox', { keyPath: 'id' })
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
