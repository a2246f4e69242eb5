import { ApiError } from '@dianming/api'
import { computed, ref } from 'vue'
import { useI18n } from 'vue-i18n'

/** One action at a time: whether it runs, and a sentence about its failure. */
export function useAct() {
  const { t, locale } = useI18n()
  const isBusy = ref(false)
  const failure = ref<unknown>()

  const sentence = computed(() => {
    if (failure.value === undefined) return ''
    if (!(failure.value instanceof ApiError)) return t('error.unexpected')
    const fields = failure.value.fields.map((each) => each.message)
    return [failure.value.sentence(locale.value), ...fields].join(' ')
  })

  /** Run an action unless one runs already. Returns whether it succeeded. */
  async function run(action: () => Promise<unknown>): Promise<boolean> {
    if (isBusy.value) return false
    isBusy.value = true
    failure.value = undefined
    try {
      await action()
      return true
    } catch (error) {
      failure.value = error
      return false
    } finally {
      isBusy.value = false
    }
  }

  return { isBusy, failure, sentence, run }
}
