import { VantResolver } from '@vant/auto-import-resolver'
import Components from 'unplugin-vue-components/vite'

/** Buttons keep their name while they are loading. */
function namedButton(name: string): string | undefined {
  return name === 'VanButton' ? '@dianming/ui/button' : undefined
}

/** Imports each Vant component that a template uses, with its style. */
export function vantComponents() {
  return Components({ resolvers: [namedButton, VantResolver()], dts: false })
}
