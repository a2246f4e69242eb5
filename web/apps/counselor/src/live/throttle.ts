/** Call `action` at once, and at most once in `everyMs`: calls in between cause one more at the end. */
export function throttled(action: () => void, everyMs: number): { call(): void; stop(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  let isWanted = false

  function call(): void {
    if (timer !== undefined) {
      isWanted = true
      return
    }
    action()
    timer = setTimeout(() => {
      timer = undefined
      if (!isWanted) return
      isWanted = false
      call()
    }, everyMs)
  }

  function stop(): void {
    clearTimeout(timer)
    timer = undefined
    isWanted = false
  }

  return { call, stop }
}
