export const zhCN = {
  tabs: { label: '主导航', rollCalls: '点名', leave: '请假', notices: '消息', me: '我的' },
  welcome: {
    title: '注册本机',
    text: '这部手机还没有注册。',
    keyLost: '本机的钥匙已经失效或丢失（可能换过手机、清除过浏览器数据，或超过 7 天未用）。请重新注册本机。',
  },
  rollCalls: { empty: '现在没有点名。' },
  leave: { empty: '还没有请假记录。', sick: '病假', personal: '事假' },
  notices: { empty: '没有消息。', unread: '未读' },
  me: { activated: '已激活', notActivated: '激活未完成' },
}

export type StudentWords = typeof zhCN
