import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import subsetFont from 'subset-font'
import type { Plugin } from 'vite'

const WEB = fileURLToPath(new URL('..', import.meta.url))
const VANT = join(WEB, 'node_modules/vant/es')
const ICON_STYLE = join(VANT, 'icon/index.css')
const CACHE = join(WEB, 'node_modules/.cache/dianming')
const FONT_NAME = '@vant-icon-font'
const INLINED_FONT = /url\(data:font\/woff2;charset=utf-8;base64,([^)]+)\)/
const FOREIGN_FONT = /,\s*url\(\/\/at\.alicdn\.com[^)]*\)\s*format\(["']woff["']\)/
const ICON_RULE = /\.van-icon-([\w-]+):before\{content:"\\(\w+)"\}/g
const QUOTED = /["'`]([a-z][a-z0-9-]*)["'`]/g
const COMPONENT_TAG = /<van-([a-z-]+)/g
const COMPONENT_IMPORT = /from "\.\.\/([a-z-]+)\//g
const SOURCES = /\.(?:mjs|ts|vue)$/

/**
 * Makes the icon font of Vant a file of its own, with the icons that an app uses. In Vant's style the font is inlined, so
 * that nothing is painted before its 25 kB have come; next to it the style names a copy at at.alicdn.com
 * (youzan/vant#13729), but no file may come from another origin.
 *
 * An icon counts as used if its name occurs as a quoted text in the sources of the app, of the packages, or of a Vant
 * component that they use. The development server looks once, when it starts.
 */
export function iconFont(): Plugin {
  let fontFile = ''
  let app = ''
  let used = new Set<string>()
  return {
    name: 'dianming:icon-font',
    enforce: 'pre',
    config({ base = '/' }) {
      fontFile = join(CACHE, `vant-icon${base.replaceAll('/', '-')}font.woff2`)
      return { resolve: { alias: { [FONT_NAME]: fontFile } } }
    },
    configResolved({ root }) {
      app = root
    },
    async buildStart() {
      const style = readFileSync(ICON_STYLE, 'utf8')
      const inlined = INLINED_FONT.exec(style)
      const icons = [...style.matchAll(ICON_RULE)].map(([, name = '', code = '']) => ({ name, code }))
      if (!inlined?.[1] || !icons.length)
        throw new Error(
          `${ICON_STYLE} has no font or no icons: adapt build/icon-font.ts to this release of Vant`,
        )
      const sources = [...filesBelow(join(app, 'src')), ...filesBelow(join(WEB, 'packages'))]
      const named = new Set([...sources, ...vantSources(sources)].flatMap((file) => matches(file, QUOTED)))
      const kept = icons.filter(({ name }) => named.has(name))
      used = new Set(kept.map(({ name }) => name))
      const text = String.fromCodePoint(...kept.map(({ code }) => parseInt(code, 16)))
      mkdirSync(CACHE, { recursive: true })
      const font = Buffer.from(inlined[1], 'base64')
      writeFileSync(fontFile, await subsetFont(font, text, { targetFormat: 'woff2' }))
    },
    transform(code, id) {
      if (!/vant[\\/].*\.css/.test(id)) return undefined
      return code
        .replace(FOREIGN_FONT, '')
        .replace(INLINED_FONT, `url("${FONT_NAME}")`)
        .replace(ICON_RULE, (rule, name: string) => (used.has(name) ? rule : ''))
    },
  }
}

/** The source files of the Vant components that templates use, and of those that they use in turn. */
function vantSources(sources: string[]): string[] {
  const open = sources.flatMap((file) => matches(file, COMPONENT_TAG))
  const found = new Set<string>()
  for (let name = open.pop(); name; name = open.pop()) {
    const folder = join(VANT, name)
    if (found.has(folder) || !existsSync(folder)) continue
    found.add(folder)
    open.push(...filesBelow(folder).flatMap((file) => matches(file, COMPONENT_IMPORT)))
  }
  return [...found].flatMap(filesBelow)
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [] // the unit tests are no app
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && SOURCES.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
}

function matches(file: string, pattern: RegExp): string[] {
  return [...readFileSync(file, 'utf8').matchAll(pattern)].map(([, text = '']) => text)
}
