import Components from 'unplugin-vue-components/vite'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'

/** Imports each Element Plus component and directive that a template uses, with its style. */
export function elementPlusComponents() {
  return Components({ resolvers: [ElementPlusResolver({ importStyle: 'css' })], dts: false })
}
