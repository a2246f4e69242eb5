import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import vue from '@vitejs/plugin-vue'
import { defineConfig, type PluginOption, type ProxyOptions, type UserConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

import { elementPlusComponents } from './element-plus.ts'
import { iconFont } from './icon-font.ts'
import { vantComponents } from './vant.ts'

/** What differs between the apps. */
export interface AppOptions {
  /** The component library: Vant on phones, Element Plus in the console. */
  components?: 'vant' | 'element-plus'
  /** The path under which the server publishes the app, with slashes: `/m/`. */
  base: `/${string}/`
  name: string
  shortName: string
  description: string
  /** The page that a person sees first, who is not known yet: `src/pages/Welcome.vue`. */
  firstPage: string
  /** Port of the development server. */
  port: number
  /** Further proxies of the development server. */
  proxy?: Record<string, ProxyOptions>
}

const API = process.env['DIANMING_DEV_API'] ?? 'http://127.0.0.1:8000'

/** The licence of the library inside a worker: minification removes it, and it asks to be kept. */
function licenceOf({ name }: { name: string }): string {
  if (name !== 'face.worker') return ''
  const text = readFileSync(new URL('../node_modules/@vladmandic/face-api/LICENSE', import.meta.url), 'utf8')
  return `/* @vladmandic/face-api, with TensorFlow.js (Apache License 2.0)\n\n${text}*/`
}

/** The plugins of an app for phones, which a person can install and open without a network. */
function phonePlugins(options: AppOptions): PluginOption[] {
  return [
    iconFont(),
    vue(),
    vantComponents(),
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src',
      filename: 'sw.ts',
      injectRegister: false,
      manifest: {
        id: options.base,
        name: options.name,
        short_name: options.shortName,
        description: options.description,
        lang: 'zh-CN',
        dir: 'ltr',
        start_url: options.base,
        scope: options.base,
        display: 'standalone',
        theme_color: '#0b57a4',
        background_color: '#ffffff',
        icons: [
          { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
      // The helper that looks for faces is large, and works only while the camera does: it is fetched when first used.
      injectManifest: {
        globPatterns: ['**/*.{js,css,html,svg,woff2}'],
        globIgnores: ['**/face.worker-*.js'],
      },
    }),
  ]
}

/** Lets the browser fetch the first page together with the app, instead of after it. */
function preloadFirstPage({ base, firstPage }: AppOptions): PluginOption {
  return {
    name: 'dianming:preload-first-page',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(_, { bundle = {} }) {
        const chunks = Object.values(bundle).filter((each) => each.type === 'chunk')
        const page = chunks.find((each) => each.facadeModuleId?.endsWith(firstPage))
        const entry = chunks.find((each) => each.isEntry)
        if (!page || !entry)
          throw new Error(`${firstPage} is not a chunk: correct firstPage in vite.config.ts`)
        return [page.fileName, ...page.imports]
          .filter((file) => file !== entry.fileName && !entry.imports.includes(file))
          .map((file) => ({
            tag: 'link',
            attrs: { rel: 'modulepreload', crossorigin: '', href: base + file },
            injectTo: 'head' as const,
          }))
      },
    },
  }
}

/** Forms and the like, which the first page shares with others: apart from what only the others share. */
const SHARED_WITH_FIRST_PAGE = /[\\/]vant[\\/]|(?:FormError|LanguageChoice|action|wechat)\.\w+/

/**
 * A request costs a phone on a slow network more time than some unneeded kilobytes, and a kilobyte of headers: libraries,
 * app, and what pages share are one file each, next to one for each page. The style is one file for all pages.
 */
const FEW_CHUNKS = {
  codeSplitting: {
    groups: [
      { name: 'libraries', tags: ['$initial' as const], test: /node_modules/, priority: 3 },
      { name: 'app', tags: ['$initial' as const], priority: 2 },
      { name: 'first-page', test: SHARED_WITH_FIRST_PAGE, minShareCount: 2, priority: 1 },
      { name: 'shared', minShareCount: 2 },
    ],
  },
}

/** The Vite configuration of an app: the build goes to `web/dist/<base>`. */
export function defineApp(options: AppOptions): UserConfig {
  const isPhone = options.components !== 'element-plus'
  return defineConfig({
    base: options.base,
    plugins: [isPhone ? phonePlugins(options) : [vue(), elementPlusComponents()], preloadFirstPage(options)],
    publicDir: fileURLToPath(new URL('../public', import.meta.url)),
    define: {
      __VUE_OPTIONS_API__: false,
      __VUE_I18N_LEGACY_API__: false,
      __VUE_I18N_FULL_INSTALL__: false,
      __INTLIFY_PROD_DEVTOOLS__: false,
      __INTLIFY_DROP_MESSAGE_COMPILER__: true, // @dianming/i18n has a smaller one
    },
    build: {
      outDir: fileURLToPath(new URL(`../dist${options.base}`, import.meta.url)),
      emptyOutDir: true,
      target: ['chrome87', 'safari14.1'],
      modulePreload: { polyfill: false },
      rolldownOptions: { checks: { bundlerTimings: false }, ...(isPhone && { output: FEW_CHUNKS }) },
      cssCodeSplit: !isPhone,
      manifest: true, // names the files of the first load, for its size (bench/web.py)
    },
    worker: { rolldownOptions: { output: { postBanner: licenceOf } } },
    server: {
      host: '127.0.0.1',
      port: options.port,
      strictPort: true,
      proxy: {
        '/mobile': { target: API },
        '/staff': { target: API },
        '/demo': { target: API },
        ...options.proxy,
      },
    },
  })
}
