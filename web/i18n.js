// The words of the pages, in English and Chinese, and the choice between them.
// In: `?lang=`, the stored choice, the browser's language. Out: `t(key, values)`
// and `translate(root)`, which fills `data-t`, `data-label` and `data-placeholder`.

const en = {
  skip: 'Skip to writing a danmaku', room: 'Room', picture: 'Picture with danmaku', scene: 'A moving picture: a city by the sea at night, with an aurora',
  online: 'online', send: 'Send', text: 'Your danmaku', placeholder: 'Say something to the room…', left: '{n} characters left',
  composer: 'Write a danmaku', looks: 'Colour, place and size', color: 'Colour', mode: 'Place', size: 'Size',
  scroll: 'Scroll', top: 'Top', bottom: 'Bottom', reverse: 'Reverse', small: 'Small', medium: 'Normal', large: 'Large',
  white: 'White', gold: 'Gold', coral: 'Coral', rose: 'Rose', violet: 'Violet', sky: 'Sky blue', mint: 'Mint', lime: 'Lime',
  like: 'Like (key L)', fullscreen: 'Full screen', fullscreenExit: 'Leave full screen', toggle: 'Danmaku on the picture',
  chat: 'Chat', chatLog: 'Chat messages', chatEmpty: 'What people write stands here too', newer: '{n} new', block: 'Hide {name}', blocked: 'Messages of {name} are hidden. Settings bring them back.',
  emptyTitle: 'It is quiet here', emptyText: 'Write the first danmaku, and open a second tab to see it fly there too.', emptyWrite: 'Write one', emptyTab: 'Open a second tab',
  crowdStart: 'Simulate a crowd', crowdStop: 'Stop the crowd', crowdOn: 'Simulation: {n} of the people here are connections that this page made',
  crowdLine: 'A simulated crowd came in. Its names end with (sim).', crowdGone: 'The simulated crowd left.',
  connecting: 'Connecting…', connected: 'Connected', reconnecting: 'Connection lost. Trying again in {s} s', reconnectingNow: 'Connection lost. Trying again…',
  failed: 'Not connected: {reason}', closed: 'Disconnected',
  why_no_token: 'this gateway asks for a token', why_bad_token: 'the token is not good for this gateway', why_banned: 'you are banned', why_kicked: 'you were put out',
  why_protocol_abuse: 'too many malformed messages', why_replaced: 'a newer connection took over', why_too_many_connections: 'too many connections of yours',
  leftOut: '{n} more were left out: the room is busier than its budget', gap: '{n} messages were missed ({reason})', missed: '{n} messages missed', missedSome: 'Some messages may have been missed', gapUnknown: 'Some messages may have been missed ({reason})', gapSlow: 'connection too slow', gapLost: 'lost on the way', gapExpired: 'no longer kept',
  deleted: 'A moderator removed a message', purged: 'A moderator removed messages', cleared: 'A moderator cleared the chat',
  entered: '{name} came in', gift: 'sent {gift} ×{n}', paid: 'Super message', system: 'System', notice: 'Notice',
  settings: 'Settings', close: 'Close', nickname: 'Nickname', nicknameHint: 'Shown to everybody. Changing it connects again.', display: 'On the picture',
  area: 'Area', opacity: 'Opacity', speed: 'Speed', fontScale: 'Text size', density: 'Density', delayMs: 'Delay', hide: 'Hide',
  blockWords: 'Words', blockUsers: 'People', blockModes: 'Places', listHint: 'One per line', blockChoose: 'Choose a person…', readAloud: 'Read new messages to screen readers', accessibility: 'Accessibility', reset: 'Reset to defaults',
  rate_limited: 'A little slower, please. Again in {s} s', slow_mode: 'Slow mode: again in {s} s', muted: 'You are muted in this room', banned: 'You are banned from this room',
  blocked_term: 'This text is not allowed here', duplicate: 'You have just said that', link_blocked: 'Links are not allowed here', held: 'A moderator will look at it first', room_silenced: 'The room is silenced at the moment',
  unavailable: 'Not sent: no connection. Your text is kept', refused: 'Not sent: {message}', tooLong: 'Too long: at most {n} characters',
};

const zh = {
  skip: '跳到弹幕输入框', room: '房间', picture: '画面与弹幕', scene: '动态画面：海边的城市夜景与极光',
  online: '人在线', send: '发送', text: '你的弹幕', placeholder: '发条弹幕，一起看…', left: '还可输入 {n} 字',
  composer: '发弹幕', looks: '颜色、位置和大小', color: '颜色', mode: '位置', size: '大小',
  scroll: '滚动', top: '顶部', bottom: '底部', reverse: '逆向', small: '小', medium: '标准', large: '大',
  white: '白色', gold: '金色', coral: '珊瑚红', rose: '玫红', violet: '紫色', sky: '天蓝', mint: '薄荷绿', lime: '青柠',
  like: '点赞（L 键）', fullscreen: '全屏', fullscreenExit: '退出全屏', toggle: '显示弹幕',
  chat: '聊天', chatLog: '聊天消息', chatEmpty: '大家发的弹幕也会出现在这里', newer: '{n} 条新消息', block: '屏蔽 {name}', blocked: '已屏蔽 {name}，可在设置中恢复。',
  emptyTitle: '这里还很安静', emptyText: '发出第一条弹幕吧；再开一个标签页，看它在那边也飞起来。', emptyWrite: '发第一条', emptyTab: '再开一个标签页',
  crowdStart: '模拟观众', crowdStop: '停止模拟', crowdOn: '模拟中：有 {n} 位观众是本页面建立的连接',
  crowdLine: '模拟观众进场了，名字以 (sim) 结尾。', crowdGone: '模拟观众已离场。',
  connecting: '连接中…', connected: '已连接', reconnecting: '连接断开，{s} 秒后重试', reconnectingNow: '连接断开，正在重试…',
  failed: '未连接：{reason}', closed: '已断开',
  why_no_token: '这个网关需要令牌', why_bad_token: '令牌对这个网关无效', why_banned: '你已被封禁', why_kicked: '你已被移出',
  why_protocol_abuse: '格式错误的消息太多', why_replaced: '已被新的连接取代', why_too_many_connections: '你的连接太多了',
  leftOut: '还有 {n} 条未显示：房间消息太多了', gap: '错过了 {n} 条消息（{reason}）', missed: '错过了 {n} 条消息', missedSome: '可能错过了一些消息', gapUnknown: '可能错过了一些消息（{reason}）', gapSlow: '网络太慢', gapLost: '途中丢失', gapExpired: '已不再保留',
  deleted: '管理员删除了一条消息', purged: '管理员删除了一些消息', cleared: '管理员清空了聊天',
  entered: '{name} 进来了', gift: '送出 {gift} ×{n}', paid: '醒目留言', system: '系统', notice: '公告',
  settings: '设置', close: '关闭', nickname: '昵称', nicknameHint: '所有人可见，修改后会重新连接。', display: '画面弹幕',
  area: '显示区域', opacity: '不透明度', speed: '速度', fontScale: '字号', density: '密度', delayMs: '延迟', hide: '屏蔽',
  blockWords: '关键词', blockUsers: '用户', blockModes: '类型', listHint: '每行一个', blockChoose: '选择要屏蔽的用户…', readAloud: '让读屏软件朗读新消息', accessibility: '无障碍', reset: '恢复默认',
  rate_limited: '发得太快了，{s} 秒后再试', slow_mode: '慢速模式：{s} 秒后再发', muted: '你在本房间被禁言', banned: '你被本房间封禁',
  blocked_term: '内容含有不允许的词', duplicate: '刚刚发过一样的内容', link_blocked: '这里不允许发链接', held: '需要管理员先审核', room_silenced: '房间正在全员禁言',
  unavailable: '未发送：没有连接，文字已保留', refused: '未发送：{message}', tooLong: '太长了：最多 {n} 字',
};

const WORDS = { en, zh };
const KEY = 'barrage.lang';
let language = choose();

function choose() {
  const asked = new URLSearchParams(location.search).get('lang') ?? stored() ?? navigator.language ?? 'en';
  return asked.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

function stored() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

/** The language in use, `en` or `zh`. */
export const lang = () => language;

/** Changes the language, remembers it, and fills the page again. */
export function setLang(next) {
  language = next;
  try { localStorage.setItem(KEY, next); } catch { /* storage may be forbidden */ }
  const address = new URL(location.href);
  if (address.searchParams.has('lang')) { // else a reload would bring the old one back
    address.searchParams.set('lang', next);
    history.replaceState(null, '', address);
  }
  translate(document);
}

/** The words for `key` with `{name}` places filled. */
export function t(key, values = {}) {
  const words = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return words.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Whether there are words for `key`. */
export const has = (key) => Object.hasOwn(WORDS.en, key);

/** A count as people of this language write it. */
export const number = (value) => new Intl.NumberFormat(language === 'zh' ? 'zh-CN' : 'en', { notation: value >= 10_000 ? 'compact' : 'standard', maximumFractionDigits: 1 }).format(value);

/** Fills every marked element below `root`. */
export function translate(root) {
  if (root === document) document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  for (const element of root.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll('[data-placeholder]')) element.placeholder = t(element.dataset.placeholder);
  for (const element of root.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', t(element.dataset.label));
    if (element.tagName === 'BUTTON') element.title = t(element.dataset.label);
  }
}
