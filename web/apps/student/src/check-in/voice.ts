import type { Language } from '@dianming/i18n'

/** Say a sentence aloud, if the browser has a voice for the language. */
export function speak(text: string, language: Language): void {
  const synthesis = (globalThis as { speechSynthesis?: SpeechSynthesis }).speechSynthesis
  if (!synthesis) return
  const short = language.slice(0, 2)
  const voice = synthesis.getVoices().find(({ lang }) => lang.toLowerCase().startsWith(short))
  if (!voice) return
  synthesis.cancel()
  const sentence = new SpeechSynthesisUtterance(text)
  sentence.voice = voice
  sentence.lang = voice.lang
  sentence.rate = 1.2
  synthesis.speak(sentence)
}

/** Loads the list of voices, which browsers fill later. */
export function prepareVoice(): void {
  ;(globalThis as { speechSynthesis?: SpeechSynthesis }).speechSynthesis?.getVoices()
}

const BEEP_HZ = 880
const BEEP_S = 0.15

/** Tell without the eyes that the prompt changed: a short tone and, on phones, a short vibration. */
export function createSignal(): { sound(): void; close(): void } {
  const Audio = (globalThis as { AudioContext?: typeof AudioContext }).AudioContext
  const context = Audio ? new Audio() : undefined
  return {
    sound() {
      ;(navigator as { vibrate?: (ms: number) => boolean }).vibrate?.(120)
      if (!context) return
      const tone = context.createOscillator()
      const volume = context.createGain()
      volume.gain.value = 0.2
      tone.frequency.value = BEEP_HZ
      tone.connect(volume).connect(context.destination)
      tone.start()
      tone.stop(context.currentTime + BEEP_S)
    },
    close: () => void context?.close(),
  }
}
