import { VantResolver } from '@vant/auto-import-resolver'
import Components from 'unplugin-vue-components/vite'
import type { Plugin } from 'vite'

const FOREIGN_FONT = /,\s*url\(\/\/at\.alicdn\.com[^)]*\)\s*format\(["']woff["']\)/g

/**
 * Cuts the address of a font at at.alicdn.com out of Vant's icon style (youzan/vant#13729). The same font is in the
 * style already, and no file may come from another origin.
 */
export function noForeignFont(): Plugin {
  return {
    name: 'no-foreign-font',
    enforce: 'pre',
    transform(code, id) {
      return /vant[\\/].*\.css/.test(id) ? code.replace(FOREIGN_FONT, '') : undefined
    },
  }
}

/** Imports each Vant component that a template uses, with its style. */
export function vantComponents() {
  return Components({ resolvers: [VantResolver()], dts: false })
}
