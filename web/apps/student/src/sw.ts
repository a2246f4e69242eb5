/// <reference lib="webworker" />
import { createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching'
import { NavigationRoute, registerRoute } from 'workbox-routing'

import { notificationOf } from './push/notification.ts'

declare const self: ServiceWorkerGlobalScope & {
  __WB_MANIFEST: (string | { url: string; revision: string | null })[]
}

// The shell works without a network. Answers of the API are never kept.
precacheAndRoute(self.__WB_MANIFEST)
registerRoute(new NavigationRoute(createHandlerBoundToURL('index.html')))

self.addEventListener('message', (event) => {
  if (event.data === 'SKIP_WAITING') void self.skipWaiting()
})

self.addEventListener('push', (event) => {
  const { title, page, ...options } = notificationOf(readJson(event.data), self.navigator.language)
  const icon = '/m/icon-192.png'
  event.waitUntil(self.registration.showNotification(title, { ...options, icon, data: { page } }))
})

// Opens the page of the notice in the app's window, or in a new one.
self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(openPage((event.notification.data as { page: string }).page))
})

async function openPage(page: string): Promise<void> {
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const open = windows.find(({ url }) => new URL(url).pathname.startsWith('/m/'))
  if (!open) {
    await self.clients.openWindow(page)
    return
  }
  open.postMessage({ page })
  await open.focus().catch(() => undefined) // browsers may forbid it; the page is open nevertheless
}

function readJson(data: PushMessageData | null): unknown {
  try {
    return data?.json()
  } catch {
    return undefined
  }
}
