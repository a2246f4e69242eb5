import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { VantResolver } from '@vant/auto-import-resolver'
import Components from 'unplugin-vue-components/vite'
import type { Plugin } from 'vite'

const ICON_STYLE = fileURLToPath(new URL('../node_modules/vant/es/icon/index.css', import.meta.url))
const FONT_FILE = fileURLToPath(new URL('../node_modules/.cache/dianming/vant-icon.woff2', import.meta.url))
const FONT_NAME = '@vant-icon-font'
const INLINED_FONT = /url\(data:font\/woff2;charset=utf-8;base64,([^)]+)\)/
const FOREIGN_FONT = /,\s*url\(\/\/at\.alicdn\.com[^)]*\)\s*format\(["']woff["']\)/

/**
 * Makes the icon font of Vant a file of its own. In Vant's style it is inlined, so that nothing is painted before its 25 kB
 * have come; next to it the style names a copy at at.alicdn.com (youzan/vant#13729), but no file may come from another
 * origin.
 */
export function iconFont(): Plugin {
  return {
    name: 'dianming:icon-font',
    enforce: 'pre',
    config() {
      const inlined = INLINED_FONT.exec(readFileSync(ICON_STYLE, 'utf8'))
      if (!inlined?.[1])
        throw new Error(`${ICON_STYLE} contains no font: adapt build/vant.ts to this release of Vant`)
      mkdirSync(fileURLToPath(new URL('.', `file://${FONT_FILE}`)), { recursive: true })
      writeFileSync(FONT_FILE, Buffer.from(inlined[1], 'base64'))
      return { resolve: { alias: { [FONT_NAME]: FONT_FILE } } }
    },
    transform(code, id) {
      if (!/vant[\\/].*\.css/.test(id)) return undefined
      return code.replace(FOREIGN_FONT, '').replace(INLINED_FONT, `url("${FONT_NAME}")`)
    },
  }
}

/** Buttons keep their name while they are loading. */
function namedButton(name: string): string | undefined {
  return name === 'VanButton' ? '@dianming/ui/button' : undefined
}

/** Imports each Vant component that a template uses, with its style. */
export function vantComponents() {
  return Components({ resolvers: [namedButton, VantResolver()], dts: false })
}
