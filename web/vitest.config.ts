import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

import { elementPlusComponents } from './build/element-plus.ts'
import { iconFont } from './build/icon-font.ts'
import { vantComponents } from './build/vant.ts'

export default defineConfig({
  plugins: [iconFont(), vue(), vantComponents(), elementPlusComponents()],
  test: {
    environment: 'happy-dom',
    include: ['packages/*/tests/**/*.test.ts', 'apps/*/tests/**/*.test.ts'],
    css: { include: /theme\.css/ },
    restoreMocks: true,
    server: { deps: { inline: ['vant', 'element-plus'] } },
  },
})
