import { useAct } from '@dianming/staff'
import { ref } from 'vue'

/** The decision of one task: it is sent once, and `decided` is called when it took effect. */
export function useDecision(decided: () => void) {
  const { isBusy, sentence, run } = useAct()
  const isDone = ref(false)

  async function send(request: () => Promise<unknown>): Promise<boolean> {
    const succeeded = await run(request)
    if (succeeded) {
      isDone.value = true
      decided()
    }
    return succeeded
  }

  return { isDone, isBusy, sentence, send }
}
