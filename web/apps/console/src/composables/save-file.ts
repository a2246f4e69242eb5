import { nextTick } from 'vue'

/** Let the browser save a file that the API returned. */
export async function saveFile(content: Blob, name: string): Promise<void> {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  await nextTick()
  URL.revokeObjectURL(link.href)
}
