import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

import { elementPlusComponents } from './build/element-plus.ts'
import { iconFont } from './build/icon-font.ts'
import { vantComponents } from './build/vant.ts'

const files = ['packages', 'apps']
  .flatMap((parent) =>
    readdirSync(join(import.meta.dirname, parent)).map((name) => `${parent}/${name}/tests`),
  )
  .filter((folder) => existsSync(join(import.meta.dirname, folder)))
  .flatMap((folder) =>
    readdirSync(join(import.meta.dirname, folder), { recursive: true }).map(
      (file) => `${folder}/${String(file)}`,
    ),
  )
  .filter((file) => file.endsWith('.test.ts'))

/**
 * Whether a test file changes what other files see: globals, timers, storage or modules. Only such a file gets a DOM and
 * modules of its own, because creating them takes most of the time.
 */
function leavesTraces(file: string): boolean {
  const source = readFileSync(join(import.meta.dirname, file), 'utf8')
  return /stubGlobal|useFakeTimers|vi\.mock\(|defineProperty|fake-indexeddb|(?:local|session)Storage|attachTo/.test(
    source,
  )
}

export default defineConfig({
  plugins: [iconFont(), vue(), vantComponents(), elementPlusComponents()],
  test: {
    environment: 'happy-dom',
    css: { include: /theme\.css/ },
    restoreMocks: true,
    server: { deps: { inline: ['vant', 'element-plus'] } },
    pool: 'threads',
    projects: [
      {
        extends: true,
        test: { name: 'shared', include: files.filter((each) => !leavesTraces(each)), isolate: false },
      },
      { extends: true, test: { name: 'isolated', include: files.filter(leavesTraces) } },
    ],
  },
})
