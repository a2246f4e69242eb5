/** Register the service worker of an app. `onUpdate` gets a function that activates a waiting version and reloads. */
export async function registerServiceWorker(
  base: string,
  onUpdate: (apply: () => void) => void,
): Promise<void> {
  if (!('serviceWorker' in navigator)) return
  const registration = await navigator.serviceWorker.register(`${base}sw.js`, { scope: base })

  const offer = () => {
    const { waiting } = registration
    if (!waiting || !navigator.serviceWorker.controller) return
    onUpdate(() => {
      navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true })
      waiting.postMessage('SKIP_WAITING')
    })
  }
  offer()
  registration.addEventListener('updatefound', () => {
    registration.installing?.addEventListener('statechange', offer)
  })
}
