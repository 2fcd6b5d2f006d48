// The demo page: puts client, overlay, picture, chat, composer, likes, settings
// and crowd together. It holds the wiring; each part has a file of its own.
import { BarrageClient } from './barrage.js';
import { Overlay } from './overlay.js';
import { Scene } from './scene.js';
import { Crowd } from './crowd.js';
import { ChatList } from './demo/chat.js';
import { Composer } from './demo/composer.js';
import { Likes } from './demo/hearts.js';
import { Settings } from './demo/settings.js';
import { amountOf, giftOf, hueOf, nameOf, plain, takenBack } from './demo/event-text.js';
import { guestName } from './demo/guest.js';
import { keepGlow } from './demo/glow.js';
import { linkText } from './demo/link-text.js';
import { lang, number, setLang, t, translate } from './i18n.js';

const HISTORY = 50;
const MISSED_FLY_MS = 8_000; // missed danmaku younger than this still fly after a reconnect
const find = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const roomName = query.get('room') || 'demo';
const url = socketUrl();
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const narrow = matchMedia('(max-width: 820px)');
const NARROW_SCALE = 0.78; // texts on a small picture

const scene = new Scene(find('scene'), { still: calm.matches });
const overlay = new Overlay(find('flight'), { text: flightText });
const chat = new ChatList({ list: find('chat-list'), scroller: find('chat-scroll'), newer: find('newer'), accept: (event) => settings.accepts(event), onBlock: block });
const settings = new Settings({ sheet: find('settings'), form: find('settings-form'), opener: find('open-settings'), closer: find('close-settings'), people: () => chat.people, onChange: applySettings, onName: rename });
const composer = new Composer({ form: find('composer'), send: (body) => room.publish(body) });
const likes = new Likes({ button: find('like'), count: find('likes'), sky: find('hearts'), onLike: (count) => room.like(count) });
const crowd = new Crowd({ url, room: roomName, onSize: showCrowd });
let flying = true;
let name = guestName(query.get('name'));
let client;
let room;
let lastStatus = { state: 'connecting' };

start();

function start() {
  translate(document);
  find('room-name').textContent = plain(roomName);
  document.title = `${plain(roomName)} · Barrage`;
  settings.name = name;
  applySettings(settings.values);
  showWords();
  connect();
  scene.start();
  scene.addEventListener('moment', ({ detail }) => crowd.cheer(detail));
  calm.addEventListener('change', () => scene.still(calm.matches));
  narrow.addEventListener('change', () => applySettings(settings.values));
  keepGlow(find('scene'), find('glow'), calm);
  wireButtons();
  offerCrowd();
  // For the page's tests and for curious people at a console.
  globalThis.barrage = { overlay, chat, crowd, get room() { return room; } };
}

function connect() {
  client?.close();
  client = new BarrageClient({ url, name });
  const mine = client;
  client.on('status', (status) => { if (mine === client) showStatus(status); });
  client.on('welcome', ({ user }) => { chat.ownId = user?.id; });
  room = client.join(roomName, { history: HISTORY });
  room.on('joined', joined);
  room.on('batch', show);
  room.on('gap', ({ count, reason }) => chat.gap(count, String(reason)));
  room.on('state', (state) => showState(state));
  room.on('error', ({ code, message }) => composer.hint(t('refused', { message: `${message || code}` }), 8_000));
}

function joined({ events, leftOut, state, recovered }) {
  likes.told(state?.likes, { fresh: true });
  showState(state ?? {});
  if (recovered) tellLeftOut(leftOut);
  if (events.length) return hideEmpty();
  if (!chat.lines) find('empty').hidden = false;
  return undefined;
}

function show({ events, leftOut, tickMs, replay, self }) {
  for (const event of events) takeBack(takenBack(event));
  const known = chat.lines > 0;
  chat.push(events, { tickMs, self, replay });
  if (!replay) tellLeftOut(leftOut);
  if (events.some((event) => event.kind === 'chat')) hideEmpty();
  if (!flying) return;
  const young = (event) => event.ts > client.serverNow() - MISSED_FLY_MS;
  const fly = replay ? events.filter((event) => known && young(event)) : events;
  if (fly.length) overlay.push(fly, { tickMs, self });
}

/** What of an event flies: texts as they are, gifts and paid messages in words. */
function flightText({ kind, user, body }) {
  if (kind === 'gift') return `${nameOf(user)} ${t('gift', giftOf(body))}`;
  if (kind === 'paid') return `${amountOf(body)} ${plain(body?.text ?? body?.message)}`.trim();
  return ['chat', 'system', 'notice'].includes(kind) ? plain(body?.text) : '';
}

function takeBack(what) {
  if (!what) return;
  chat.takeBack(what);
  if (what.all) overlay.clear();
  else if (what.ids) overlay.remove(what.ids);
  else overlay.removeUser(what.user);
  chat.note(t(what.all ? 'cleared' : what.ids ? 'deleted' : 'purged'));
}

function tellLeftOut(leftOut = {}) {
  let count = 0;
  for (const [kind, left] of Object.entries(leftOut)) if (kind !== 'ambient') count += left;
  if (count) chat.leftOut(count);
}

function showState({ online, likes: total }) {
  if (online !== undefined) find('online').textContent = number(online);
  likes.told(total, { tickMs: room.tickMs });
}

function showStatus(status) {
  lastStatus = status;
  find('link').dataset.state = status.state;
  find('link-text').textContent = linkText(status);
}

function showCrowd(size) {
  const badge = find('simulated');
  badge.hidden = size === 0;
  badge.textContent = size ? t('crowdOn', { n: size }) : '';
}

/** Everything that scripts have written, in the language of now. */
function showWords() {
  const other = lang() === 'zh' ? ['EN', 'en', 'Switch to English'] : ['中文', 'zh-CN', '切换到中文'];
  Object.assign(find('language'), { textContent: other[0], lang: other[1], title: other[2] });
  find('language').setAttribute('aria-label', other[2]);
  find('crowd-text').textContent = t(crowd.running ? 'crowdStop' : 'crowdStart');
  const me = document.createElement('span');
  me.textContent = plain(name);
  const dot = document.createElement('i');
  dot.style.setProperty('--h', hueOf({ name }));
  find('me').replaceChildren(dot, me);
  find('me').setAttribute('aria-label', `${t('nickname')}: ${plain(name)}`);
  showStatus(lastStatus);
  showCrowd(crowd.size);
  composer.refresh();
  likes.refresh();
}

function applySettings(values) {
  overlay.set({ ...settings.overlay, fontScale: values.fontScale * (narrow.matches ? NARROW_SCALE : 1) });
  find('chat-scroll').setAttribute('aria-live', values.readAloud ? 'polite' : 'off');
}

function block(user) {
  settings.block(user);
  chat.takeBack({ user: user.id });
  overlay.removeUser(user.id);
  chat.note(t('blocked', { name: plain(user.name) }));
}

function rename(next) {
  name = guestName(next);
  showWords();
  connect();
}

function hideEmpty() { find('empty').classList.add('gone'); }

function wireButtons() {
  find('language').addEventListener('click', () => { setLang(lang() === 'zh' ? 'en' : 'zh'); showWords(); });
  find('me').addEventListener('click', () => settings.open('nickname'));
  find('empty-write').addEventListener('click', () => composer.focus());
  find('empty-tab').href = location.href;
  find('toggle').addEventListener('click', ({ currentTarget }) => {
    flying = !flying;
    if (!flying) overlay.clear();
    find('stage').classList.toggle('plain', !flying);
    currentTarget.setAttribute('aria-pressed', String(flying));
  });
  find('crowd').addEventListener('click', toggleCrowd);
  const full = find('fullscreen');
  full.hidden = !document.fullscreenEnabled;
  full.addEventListener('click', () => (document.fullscreenElement ? document.exitFullscreen() : find('theatre').requestFullscreen()).catch(() => {}));
  document.addEventListener('fullscreenchange', () => {
    full.dataset.label = document.fullscreenElement ? 'fullscreenExit' : 'fullscreen';
    translate(full.parentElement);
  });
  addEventListener('pagehide', () => crowd.stop());
}

function toggleCrowd() {
  if (crowd.running) crowd.stop();
  else crowd.start();
  find('crowd').setAttribute('aria-pressed', String(crowd.running));
  find('crowd-text').textContent = t(crowd.running ? 'crowdStop' : 'crowdStart');
  chat.note(t(crowd.running ? 'crowdLine' : 'crowdGone'));
}

/** The crowd is for gateways in development only: they say so themselves. */
async function offerCrowd() {
  try {
    const reply = await fetch('client.json');
    const { dev } = await reply.json();
    find('crowd').hidden = dev !== true;
  } catch { /* then there is no crowd */ }
}

function socketUrl() {
  const socket = new URL('ws', location.origin + location.pathname);
  socket.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return socket.href;
}
