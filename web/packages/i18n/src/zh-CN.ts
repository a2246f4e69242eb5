/** Words that the apps share. */
export const zhCN = {
  common: {
    appName: '点名',
    back: '返回',
    cancel: '取消',
    close: '关闭',
    confirm: '确定',
    loading: '正在加载',
    retry: '再试一次',
    refresh: '刷新',
    signOut: '退出登录',
    language: '语言',
    loadMore: '加载更多',
    nothingMore: '没有更多了',
  },
  error: {
    title: '没有成功',
    code: '代码 {code}',
    offline: '现在没有网络，恢复后会自动重试。',
    unexpected: '页面出了问题。请刷新后再试；一直这样请联系学校。',
    notFound: '没有这个页面',
    goHome: '回到首页',
    storageRefused: '当前浏览器处于无痕或锁定模式，无法保存本机的钥匙。请改用普通模式打开。',
    outdatedClock: '手机时间与服务器相差较大，请打开“自动设置时间”。',
  },
  update: {
    available: '有新版本',
    apply: '更新',
  },
  demo: {
    clock: '演示时钟',
    minute: '+1 分',
    minutes: '+10 分',
    hour: '+1 小时',
    day: '+1 天',
  },
  time: {
    left: '还剩 {time}',
    over: '已截止',
    days: '{n} 天',
    hours: '{n} 小时',
    minutes: '{n} 分',
    seconds: '{n} 秒',
  },
  camera: {
    refused: '摄像头被禁止。iPhone：设置 › Safari › 相机 › 允许；安卓：点地址栏锁形图标 › 权限 › 相机。',
    missing: '没有找到前置摄像头。请换一台有前置摄像头的手机，或联系辅导员。',
    busy: '摄像头被其他应用占用。请关闭其他应用后再试。',
    unsupported: '当前浏览器不能使用摄像头。请用系统浏览器打开。',
  },
  position: {
    good: '定位精度约 {metres} 米，可以提交。',
    fair: '定位精度约 {metres} 米。到窗边或室外会更准。',
    coarse: '定位偏粗（约 {metres} 米）。请打开“精确位置”，到窗边或室外再试。',
    refused: '定位被禁止。iPhone：设置 › Safari › 位置 › 允许；安卓：点地址栏锁形图标 › 权限 › 位置。',
    timeout: '定位超时。请检查手机定位总开关；部分手机的内置浏览器不支持，请换系统浏览器。',
    unavailable: '手机暂时给不出位置。请打开定位，到窗边或室外再试。',
    unsupported: '当前浏览器不能定位。请用系统浏览器打开。',
  },
}

/** The same keys in another language. */
export type SharedWords = typeof zhCN
