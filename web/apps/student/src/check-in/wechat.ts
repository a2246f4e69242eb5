/** Whether the page is open in WeChat's own browser. */
export function isWeChat(userAgent: string = navigator.userAgent): boolean {
  return /MicroMessenger/i.test(userAgent)
}
