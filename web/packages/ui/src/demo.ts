import { defineAsyncComponent } from 'vue'

/** Whether this server is a demonstration with a clock that can be moved. */
export function isDemonstration(cookies: string = document.cookie): boolean {
  return cookies.split('; ').includes('dianming_demo_clock=1')
}

/** The bar of such a demonstration, loaded only there. */
export const DemoClock = defineAsyncComponent(() => import('./DemoClock.vue'))
