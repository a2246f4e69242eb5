import { type Ref, ref, shallowRef } from 'vue'

/** Runs something that the user started: one at a time, with its error kept for the page. */
export function useAction(): {
  isBusy: Ref<boolean>
  error: Ref<unknown>
  run(action: () => Promise<void>): Promise<boolean>
} {
  const isBusy = ref(false)
  const error = shallowRef<unknown>()

  async function run(action: () => Promise<void>): Promise<boolean> {
    if (isBusy.value) return false
    isBusy.value = true
    error.value = undefined
    try {
      await action()
      return true
    } catch (cause) {
      error.value = cause
      return false
    } finally {
      isBusy.value = false
    }
  }

  return { isBusy, error, run }
}
