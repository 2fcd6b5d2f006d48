// The page for OBS and other browser sources: flying danmaku, a list, cards, as
// the address asks for. It reads, never writes; it keeps trying for as long as
// the source lives, and everything it holds has a bound.
import { BarrageClient } from './barrage.js';
import { Overlay } from './overlay.js';
import { fold, plain, takenBack } from './demo/event-text.js';
import { linkText } from './demo/link-text.js';
import { lang, number, t } from './i18n.js';
import { Cards } from './overlay-page/cards.js';
import { LineList } from './overlay-page/list.js';
import { readParams } from './overlay-page/params.js';
import { playSamples } from './overlay-page/samples.js';

const OBS_WAIT_MS = 3_000; // many sources start together with OBS: spread them
const LIST_HISTORY = 20;
const SPREAD_MAX = 500; // list lines waiting for their time
const AGAIN_MS = [30_000, 60_000]; // after the client gave up for good
const CARD_KINDS = new Set(['gift', 'paid', 'system', 'notice']);
const find = (id) => document.getElementById(id);
const params = readParams(location.search);

document.documentElement.lang = lang() === 'zh' ? 'zh-CN' : 'en';
document.body.dataset.list = params.list;
style('--barrage-scale', params.scale);
style('--barrage-stroke', `${params.stroke}px`);
if (params.font) style('--barrage-font', `${JSON.stringify(params.font)}, "Noto Sans CJK SC", "Segoe UI", system-ui, sans-serif`);
document.body.style.opacity = params.opacity;

const overlay = params.mode === 'list' ? null : new Overlay(find('flight'), { ...overlaySettings(), text: ({ kind, body }) => (kind === 'chat' ? plain(body?.text) : '') });
const list = params.mode === 'scroll' ? null : new LineList(find('list'), { linesMax: params.lines, fadeMs: params.fadeMs });
const cards = params.cards ? new Cards(find('cards')) : null;
const waiting = new Map(); // event → the timer that will show it in the list
find('list').hidden = !list;
find('state').hidden = !params.status;

globalThis.barrage = { overlay, list, params };
if (params.test) playSamples((event) => show([event], {}));
setTimeout(connect, globalThis.obsstudio ? Math.random() * OBS_WAIT_MS : 0);

function connect() {
  const socket = new URL('ws', location.origin + location.pathname);
  socket.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const client = new BarrageClient({ url: socket.href, token: params.token });
  client.on('status', (status) => {
    document.body.dataset.state = status.state;
    find('state').textContent = linkText({ ...status, delayMs: 0 }, params.token); // nobody counts down here
  });
  client.on('failed', () => {
    client.close();
    const [least, most] = AGAIN_MS;
    setTimeout(connect, least + Math.random() * (most - least));
  });
  const room = client.join(params.room, { history: list ? LIST_HISTORY : 0 });
  room.on('batch', ({ events, tickMs, replay }) => show(events, { tickMs, replay }));
  if (params.status) room.on('gap', ({ count }) => list?.note(t(count > 0 ? 'missed' : 'missedSome', { n: number(count) })));
}

function show(events, { tickMs = 0, replay = false }) {
  for (const event of events) takeBack(takenBack(event));
  if (!replay) overlay?.push(events, { tickMs });
  events.forEach((event, index) => {
    const late = replay ? 0 : params.delayMs + (index / events.length) * tickMs;
    if (late < 20 || waiting.size >= SPREAD_MAX) return showBeside(event, replay);
    return waiting.set(event, setTimeout(() => { waiting.delete(event); showBeside(event, replay); }, late));
  });
}

function showBeside(event, replay) {
  if (event.kind === 'chat' && allowed(event)) list?.add(event);
  else if (CARD_KINDS.has(event.kind) && !replay && hasWords(event) && allowed(event)) cards?.add(event);
}

/** A notice about settings or the like has nothing to read. */
const hasWords = ({ kind, body }) => kind === 'gift' || kind === 'paid' || typeof (body?.text ?? body?.message) === 'string';

function allowed(event) {
  const text = fold(event.body?.text ?? event.body?.message);
  return !params.blockWords.some((word) => fold(word) && text.includes(fold(word)));
}

function takeBack(what) {
  if (!what) return;
  for (const [event, timer] of waiting) {
    if (!what.all && !(what.ids ? what.ids.includes(event.id) : event.user?.id === what.user)) continue;
    clearTimeout(timer);
    waiting.delete(event);
  }
  list?.takeBack(what);
  cards?.takeBack(what);
  if (what.all) overlay?.clear();
  else if (what.ids) overlay?.remove(what.ids);
  else overlay?.removeUser(what.user);
}

function overlaySettings() {
  const { area, speed, scale, density, delayMs, blockWords, blockModes, max, font } = params;
  // A browser source asks for motion by being one, whatever the system says.
  return { area, speed, fontScale: scale, density, delayMs, blockWords, blockModes, maxOnScreen: max, reducedMotion: 'ignore', ...(font && { fontFamily: font }) };
}

function style(name, value) { document.documentElement.style.setProperty(name, value); }
