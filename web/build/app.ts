import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import vue from '@vitejs/plugin-vue'
import { defineConfig, type PluginOption, type ProxyOptions, type UserConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

import { elementPlusComponents } from './element-plus.ts'
import { iconFont, vantComponents } from './vant.ts'

/** What differs between the apps. */
export interface AppOptions {
  /** The component library: Vant on phones, Element Plus in the console. */
  components?: 'vant' | 'element-plus'
  /** The path under which the server publishes the app, with slashes: `/m/`. */
  base: `/${string}/`
  name: string
  shortName: string
  description: string
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

/** The Vite configuration of an app: the build goes to `web/dist/<base>`. */
export function defineApp(options: AppOptions): UserConfig {
  return defineConfig({
    base: options.base,
    plugins: options.components === 'element-plus' ? [vue(), elementPlusComponents()] : phonePlugins(options),
    publicDir: fileURLToPath(new URL('../public', import.meta.url)),
    define: {
      __VUE_OPTIONS_API__: false,
      __VUE_I18N_LEGACY_API__: false,
      __VUE_I18N_FULL_INSTALL__: false,
      __INTLIFY_PROD_DEVTOOLS__: false,
    },
    build: {
      outDir: fileURLToPath(new URL(`../dist${options.base}`, import.meta.url)),
      emptyOutDir: true,
      target: ['chrome87', 'safari14.1'],
      modulePreload: { polyfill: false },
      rolldownOptions: { checks: { bundlerTimings: false } },
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
